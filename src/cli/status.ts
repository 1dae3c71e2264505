import type { Command } from 'commander';
import type { StatusSnapshot } from '../observe/snapshots.ts';
import { renderHealth } from '../observe/views/health.ts';
import { renderStatus } from '../observe/views/status.ts';
import { ask, listCommand, type SocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { EXIT } from './exit.ts';
import { type OutputOptions, printAnswer } from './output.ts';

export function statusCommand(): Command {
  const command = listCommand('status', 'what this agent is, what it is connected to, its counters')
    .option('--check', 'only its health, in one line; exit 1 unless that is ok')
    .action(async (options: SocketOption & OutputOptions & { readonly check?: true }) => {
      const status = (await ask('status', options.socket)) as StatusSnapshot;
      if (!options.check) {
        await printAnswer('status', status, options, renderStatus);
        return;
      }
      await printAnswer('health', status.health, options, renderHealth);
      if (status.health.state !== 'ok') process.exitCode = EXIT.ERROR;
    });
  return withExamples(
    command,
    ['dvipa status', 'everything at a glance'],
    ['dvipa status --check', 'for a monitor: exit 1 if it is degraded or failed, 3 without an agent'],
  );
}
