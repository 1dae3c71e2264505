import { once } from 'node:events';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { EventItem } from '../observe/event-item.ts';
import { renderEvent } from '../observe/views/events.ts';
import { styleFor } from '../observe/views/style.ts';
import { type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { follow } from './follow.ts';
import { wholeNumber } from './numbers.ts';

interface EventsOptions extends SocketOption {
  readonly follow?: true;
  readonly json?: true;
  readonly since?: string;
  readonly last?: number;
}

export function eventsCommand(): Command {
  const command = withSocketOption(new Command('events'))
    .description('what happened: SAs, rekeys, targets, charon, drops (docs/events.md)')
    .option('-f, --follow', 'go on as events come')
    .addOption(
      new Option('--since <place>', 'after this one: SEQ or INSTANCE:SEQ, as --json tells them')
        .argParser(parsePlace)
        .conflicts('last'),
    )
    .option('-n, --last <number>', 'only so many of the newest', wholeNumber(0, 1_000_000))
    .option('--json', 'print a line of JSON for each (docs/cli-json.md)')
    .action(async ({ socket, follow: follows, since, last, json }: EventsOptions) => {
      const style = styleFor(process.stdout.isTTY, process.env);
      const args = {
        ...(follows && { follow: true }),
        ...(since !== undefined && { since }),
        ...(last !== undefined && { last }),
      };
      await follow('events', socket, args, async (item) => {
        const line = json ? `${JSON.stringify(item)}\n` : renderEvent(item as EventItem, style);
        // A reader that is slow holds back the agent's stream, and not lines in our memory.
        if (!process.stdout.write(line)) await once(process.stdout, 'drain');
      });
    });
  return withExamples(
    command,
    ['dvipa events -n 20 --follow', 'the last 20, and what comes'],
    ['dvipa events --json --since 00c0ffee00c0ffee:120', 'what a monitor has not seen yet'],
  );
}

function parsePlace(text: string): string {
  if (!/^([0-9a-f]{16}:)?\d{1,15}$/.test(text))
    throw new InvalidArgumentError('expected SEQ or INSTANCE:SEQ.');
  return text;
}
