import { Command } from 'commander';
import type { ConnectionCounts } from '../observe/connection-snapshots.ts';
import type { DrainSnapshot } from '../observe/operator-snapshots.ts';
import { renderDrain } from '../observe/views/operator.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { wholeNumber } from './numbers.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';
import { type WaitOption, waitUntilIdle } from './wait-until-idle.ts';

const DAY_SECONDS = 86_400;

interface DrainOptions extends SocketOption, OutputOptions {
  readonly dvipa?: string;
  readonly wait?: WaitOption;
}

export function drainCommand(): Command {
  const command = targetCommand('drain', 'no new connections for a target; those that it has go on')
    .option(
      '--wait [seconds]',
      'return when it has no connection left; exit 4 if it has some after so long',
      wholeNumber(0, DAY_SECONDS),
    )
    .action(async (target: string, options: DrainOptions) => {
      const { wait, socket, dvipa } = options;
      await change('drain', target, options);
      if (wait === undefined) return;
      await waitUntilIdle(wait, async () => {
        const filters = { target, ...(dvipa !== undefined && { dvipa }) };
        const { targets } = (await ask('connection-counts', socket, filters)) as ConnectionCounts;
        // Of a closing one only late segments come.
        return targets.reduce(
          (sum, { tentative, opening, confirmed }) => sum + tentative + opening + confirmed,
          0,
        );
      });
    });
  return withExamples(
    command,
    ['dvipa drain target2 --wait 600', 'before work on it, for at most ten minutes'],
    ['dvipa drain target2 --dvipa 203.0.113.10', 'for one DVIPA only'],
  );
}

export function undrainCommand(): Command {
  const command = targetCommand('undrain', 'new connections for a drained target again').action(
    (target: string, options: DrainOptions) => change('undrain', target, options),
  );
  return withExamples(command, ['dvipa undrain target2', 'when the work is done']);
}

function targetCommand(name: string, description: string): Command {
  const command = withSocketOption(new Command(name))
    .description(description)
    .argument('<target>', 'host name of the target')
    .option('--dvipa <address>', 'for this DVIPA only');
  return withOutputOptions(command, 'answer');
}

async function change(command: 'drain' | 'undrain', target: string, options: DrainOptions): Promise<void> {
  const args = { target, ...(options.dvipa !== undefined && { dvipa: options.dvipa }) };
  const answer = (await ask(command, options.socket, args)) as DrainSnapshot;
  await printAnswer(command, answer, options, renderDrain);
  if (!answer.isStored)
    process.stderr.write('dvipa: it could not be stored: a restart of the agent ends it\n');
  for (const dvipa of answer.unserved)
    process.stderr.write(`dvipa: no target takes new connections of ${dvipa} now\n`);
}
