import { Command, InvalidArgumentError, Option } from 'commander';
import type { RekeySnapshot } from '../observe/operator-snapshots.ts';
import { renderRekey } from '../observe/views/operator.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { CommandError, EXIT } from './exit.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

interface RekeyOptions extends SocketOption, OutputOptions {
  readonly sa?: string;
  readonly ike?: string;
  readonly child?: string;
  readonly all?: true;
}

export function rekeyCommand(): Command {
  const command = withSocketOption(new Command('rekey'))
    .description('have charon rekey CHILD_SAs')
    .addOption(
      new Option('--sa <spi>', 'that of this SPI, of either direction')
        .argParser(parseSpi)
        .conflicts(['ike', 'child', 'all']),
    )
    .addOption(new Option('--ike <name>', 'those under this IKE configuration').conflicts('all'))
    .addOption(new Option('--child <name>', 'those of this CHILD_SA configuration').conflicts('all'))
    .option('--all', 'all of them')
    .action(async (options: RekeyOptions) => {
      const { socket, sa, ike, child, all } = options;
      if (sa === undefined && ike === undefined && child === undefined && all === undefined)
        throw new CommandError('rekey: expected --sa, --ike, --child or --all', EXIT.USAGE);
      const args = Object.entries({ sa, ike, child, all }).filter(([, value]) => value !== undefined);
      const answer = (await ask('rekey', socket, Object.fromEntries(args))) as RekeySnapshot;
      await printAnswer('rekey', answer, options, renderRekey);
      if (answer.asked.some(({ outcome }) => outcome === 'refused'))
        throw new CommandError('not all of them could be asked for (dvipa events)');
    });
  return withExamples(
    withOutputOptions(command, 'answer'),
    ['dvipa rekey --ike site-a --child web', 'all peers of one configuration'],
    ['dvipa events --follow', 'shows when charon has finished'],
  );
}

function parseSpi(text: string): string {
  if (!/^[0-9a-f]{8}$/i.test(text)) throw new InvalidArgumentError('expected an SPI of 8 hex digits.');
  return text.toLowerCase();
}
