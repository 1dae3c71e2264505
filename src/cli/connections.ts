import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ConnectionCounts, ConnectionSnapshot, TopSource } from '../observe/connection-snapshots.ts';
import { renderConnectionCounts, renderConnections, renderTopSources } from '../observe/views/connections.ts';
import { ask, listCommand, type SocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { wholeNumber } from './numbers.ts';
import { type OutputOptions, printAnswer } from './output.ts';

const DEFAULT_LIMIT = 10_000;
const MAX_LIMIT = 100_000;

interface ConnectionsOptions extends SocketOption, OutputOptions {
  readonly dvipa?: string;
  readonly target?: string;
  readonly source?: string;
  readonly port?: number;
  readonly protocol?: string | number;
  readonly state?: string;
  readonly count?: true;
  readonly top?: number;
  readonly limit: number;
}

/** The filters as the agent takes them: it looks at its table, and what comes here is what was asked for. */
function filtersOf({ dvipa, target, source, port, protocol, state }: ConnectionsOptions) {
  return Object.fromEntries(
    Object.entries({ dvipa, target, source, port, protocol, state }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

export function connectionsCommand(): Command {
  const command = listCommand('connections', 'the distributed connection table')
    .option('--dvipa <address>', 'only those to this DVIPA')
    .option('--target <host>', 'only those of this target')
    .option('--source <network>', "only from this peer's inner address, or network (ADDRESS/BITS)")
    .option('--port <number>', 'only to this port of the DVIPA', wholeNumber(0, 65_535))
    .option('--protocol <protocol>', 'tcp, udp, icmp, icmpv6 or a number', parseProtocol)
    .addOption(
      new Option('--state <state>', 'only in this state').choices([
        'tentative',
        'opening',
        'confirmed',
        'closing',
      ]),
    )
    .addOption(new Option('--count', 'how many there are, by target and state').conflicts('top'))
    .option('--top <number>', 'the sources with the most of them', wholeNumber(1, 1000))
    .option('--limit <number>', 'list at most so many', wholeNumber(1, MAX_LIMIT), DEFAULT_LIMIT)
    .action(run);
  return withExamples(
    command,
    ['dvipa connections --target target2 --port 443', 'those of one target and port'],
    ['dvipa connections --count', 'how they are spread'],
    ['dvipa connections --top 10 --dvipa 203.0.113.10', 'who has most of them'],
  );
}

async function run(options: ConnectionsOptions): Promise<void> {
  const { socket, limit, top } = options;
  const filters = filtersOf(options);
  if (options.count) {
    const counts = (await ask('connection-counts', socket, filters)) as ConnectionCounts;
    await printAnswer('connection-counts', counts, options, renderConnectionCounts);
  } else if (top !== undefined) {
    const sources = (await ask('connection-top', socket, { ...filters, top })) as TopSource[];
    await printAnswer('connection-top', sources, options, renderTopSources);
  } else {
    // One more than is shown tells whether there are more.
    const found = (await ask('connections', socket, {
      ...filters,
      limit: limit + 1,
    })) as ConnectionSnapshot[];
    await printAnswer('connections', found.slice(0, limit), options, renderConnections);
    if (found.length > limit)
      process.stderr.write(`dvipa: there are more than ${limit} (--limit, or filters, or --count)\n`);
  }
}

function parseProtocol(text: string): string | number {
  if (['tcp', 'udp', 'icmp', 'icmpv6'].includes(text)) return text;
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255)
    throw new InvalidArgumentError('expected tcp, udp, icmp, icmpv6 or a number from 0 to 255.');
  return Number(text);
}
