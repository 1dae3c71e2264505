import { Command } from 'commander';
import type { ReloadSnapshot } from '../observe/snapshots.ts';
import { renderReload } from '../observe/views/reload.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

interface ReloadOptions extends SocketOption, OutputOptions {
  readonly dryRun?: boolean;
}

export function reloadCommand(): Command {
  const command = new Command('reload')
    .description('take the configuration file again, as a whole or not at all; no packet is lost')
    .option('--dry-run', 'only show what would change');
  return withExamples(
    withOutputOptions(withSocketOption(command), 'answer').action(async (options: ReloadOptions) => {
      const { dryRun = false, socket } = options;
      const answer = (await ask('reload', socket, { dryRun })) as ReloadSnapshot;
      await printAnswer('reload', answer, options, renderReload);
    }),
    ['dvipa reload --dry-run', 'what is different in the file, and is it right?'],
    ['dvipa reload', 'go by it'],
  );
}
