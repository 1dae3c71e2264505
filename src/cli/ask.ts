import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { ROUTE_ADMIN_SOCKET, TARGET_ADMIN_SOCKET } from '../config/admin-sockets.ts';
import type { AdminAnswers, AdminCommand } from '../observe/snapshots.ts';
import { type Style, styleFor } from '../observe/views/style.ts';
import { CommandError, EXIT } from './exit.ts';

const DEFAULT_SOCKETS = [ROUTE_ADMIN_SOCKET, TARGET_ADMIN_SOCKET];

interface AskCommandOptions {
  readonly socket?: string;
  readonly json?: true;
}

/** A command that asks the agent one thing and prints the answer: as a view for people, or as JSON. */
export function askCommand<Name extends AdminCommand>(
  name: Name,
  description: string,
  render: (answer: AdminAnswers[Name], style: Style) => string,
): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print JSON (docs/cli-json.md)')
    .option('--socket <path>', `admin socket of the agent (default: ${DEFAULT_SOCKETS.join(' or ')})`)
    .action(async (options: AskCommandOptions) => {
      const answer = (await ask(name, options.socket)) as AdminAnswers[Name];
      const style = styleFor(process.stdout.isTTY, process.env);
      process.stdout.write(options.json ? `${JSON.stringify(answer, null, 2)}\n` : render(answer, style));
    });
}

/** Asks the agent on this socket, or the first that answers where agents usually are. */
export async function ask(name: string, socket: string | undefined): Promise<unknown> {
  const { AgentUnreachableError, askAgent } = await import('../io/admin-client.ts');
  const paths = socket === undefined ? DEFAULT_SOCKETS.filter((path) => existsSync(path)) : [socket];
  const failures: string[] = [];
  for (const path of paths) {
    try {
      return await askAgent(path, name);
    } catch (error) {
      // A file left by a killed routing agent must not hide the target agent beside it.
      if (!(error instanceof AgentUnreachableError)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length === 0)
    failures.push(`no agent is running here (looked at ${DEFAULT_SOCKETS.join(', ')})`);
  throw new CommandError(failures.join('; '), EXIT.UNREACHABLE);
}
