import { Argument, Command } from 'commander';
import type { MaintenanceSnapshot } from '../observe/operator-snapshots.ts';
import { renderMaintenance } from '../observe/views/operator.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { wholeNumber } from './numbers.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';
import { type WaitOption, waitUntilIdle } from './wait-until-idle.ts';

const DAY_SECONDS = 86_400;

interface MaintenanceOptions extends SocketOption, OutputOptions {
  readonly wait?: WaitOption;
}

export function maintenanceCommand(): Command {
  const command = withSocketOption(new Command('maintenance'))
    .description('on a target: no new connections for this host, so that it can be worked on')
    .addArgument(new Argument('<action>', 'what to do').choices(['on', 'off', 'status']))
    .option(
      '--wait [seconds]',
      'with on: return when no connection is left; exit 4 if there are some after so long',
      wholeNumber(0, DAY_SECONDS),
    )
    .action(async (action: string, options: MaintenanceOptions) => {
      const { socket, wait } = options;
      const request = async (what: string) =>
        (await ask('maintenance', socket, { action: what })) as MaintenanceSnapshot;
      const answer = await request(action);
      await printAnswer('maintenance', answer, options, renderMaintenance);
      if (wait === undefined || action !== 'on') return;
      await waitUntilIdle(wait, async () => (await request('status')).connections);
    });
  return withExamples(
    withOutputOptions(command, 'answer'),
    ['dvipa maintenance on --wait 600', 'before an update of this host'],
    ['dvipa maintenance off', 'afterwards'],
  );
}
