import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { ROUTE_ADMIN_SOCKET, TARGET_ADMIN_SOCKET } from '../config/admin-sockets.ts';
import type { AdminAnswers, AdminCommand } from '../observe/admin-answers.ts';
import type { Style } from '../observe/views/style.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import { CommandError, EXIT } from './exit.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

/** Where agents usually are; the routing host's first. */
export const DEFAULT_SOCKETS = [ROUTE_ADMIN_SOCKET, TARGET_ADMIN_SOCKET];

export interface SocketOption {
  readonly socket?: string;
}

/** A command that asks the agent for one list or state and prints the answer. */
export function askCommand<Name extends AdminCommand>(
  name: Name,
  description: string,
  render: (answer: AdminAnswers[Name], style: Style) => string,
): Command {
  return listCommand(name, description).action(async (options: SocketOption & OutputOptions) => {
    const answer = (await ask(name, options.socket)) as AdminAnswers[Name];
    await printAnswer(name, answer, options, render);
  });
}

/** A command with the options of all that ask an agent for a list. */
export function listCommand(name: string, description: string): Command {
  return withOutputOptions(withSocketOption(new Command(name).description(description)), 'list');
}

export function withSocketOption(command: Command): Command {
  return command.option(
    '--socket <path>',
    `admin socket of the agent (default: ${DEFAULT_SOCKETS.join(' or ')})`,
  );
}

/** Asks the agent on this socket, or the first that answers where agents usually are. */
export async function ask(
  name: string,
  socket: string | undefined,
  args: AdminArguments = {},
): Promise<unknown> {
  const { askAgent } = await import('../io/admin-client.ts');
  return fromFirstAgent(socket, (path) => askAgent(path, name, { args }));
}

/** What `work` makes of the agent on this socket, or of the first one that is reachable where agents usually are. */
export async function fromFirstAgent<Result>(
  socket: string | undefined,
  work: (path: string) => Promise<Result>,
): Promise<Result> {
  const { AgentUnreachableError } = await import('../io/admin-client.ts');
  const paths = socket === undefined ? DEFAULT_SOCKETS.filter((path) => existsSync(path)) : [socket];
  const failures: string[] = [];
  for (const path of paths) {
    try {
      return await work(path);
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
