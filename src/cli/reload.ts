import { Command } from 'commander';
import type { ReloadSnapshot } from '../observe/snapshots.ts';
import { renderReload } from '../observe/views/reload.ts';
import { styleFor } from '../observe/views/style.ts';
import { ask } from './ask.ts';

interface ReloadCommandOptions {
  readonly dryRun?: boolean;
  readonly json?: true;
  readonly socket?: string;
}

export function reloadCommand(): Command {
  return new Command('reload')
    .description('take the configuration file again, as a whole or not at all; no packet is lost')
    .option('--dry-run', 'only show what would change')
    .option('--json', 'print JSON (docs/cli-json.md)')
    .option('--socket <path>', 'admin socket of the agent')
    .action(async ({ dryRun = false, json, socket }: ReloadCommandOptions) => {
      const answer = (await ask('reload', socket, { dryRun })) as ReloadSnapshot;
      const style = styleFor(process.stdout.isTTY, process.env);
      process.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : renderReload(answer, style));
    });
}
