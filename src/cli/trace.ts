import { Command, InvalidArgumentError, Option } from 'commander';
import type { TraceSnapshot } from '../observe/trace-snapshot.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { CommandError, EXIT } from './exit.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

/** An address with a port, or without: `10.1.1.1:40000`, `[2001:db8::1]:80`, `2001:db8::1`. */
interface Place {
  readonly address: string;
  readonly port: number;
}

interface TraceOptions extends SocketOption, OutputOptions {
  readonly from?: Place;
  readonly to?: Place;
  readonly protocol?: string | number;
  readonly flags?: string;
  readonly bytes?: number;
  readonly spi?: string;
  readonly inClear?: true;
  readonly outbound?: true;
  readonly hex?: string;
}

const MAX_HEX_CHARACTERS = 1_000_000;

export function traceCommand(): Command {
  const command = new Command('trace')
    .description(
      'what the agent would do with a packet now, step by step. Nothing is sent, marked, counted or remembered',
    )
    .addOption(new Option('--from <place>', 'inner source, ADDRESS:PORT').argParser(parsePlace))
    .addOption(new Option('--to <place>', 'inner destination, ADDRESS:PORT').argParser(parsePlace))
    .addOption(
      new Option('--protocol <protocol>', 'tcp, udp, icmp, icmpv6 or a number (default: tcp)').argParser(
        (text) => (/^\d+$/.test(text) ? Number(text) : text),
      ),
    )
    .addOption(new Option('--flags <flag>', 'of TCP (default: syn)').choices(['syn', 'ack', 'fin', 'rst']))
    .addOption(new Option('--bytes <count>', 'of data (default: 0)').argParser(parseCount))
    .option('--spi <spi>', 'the SA that it comes by, 8 hex digits (default: one that fits)')
    .addOption(new Option('--in-clear', 'it comes in clear, not by an SA').conflicts(['spi', 'outbound']))
    .addOption(new Option('--outbound', "on a target: a packet of this host's kernel").conflicts(['spi']))
    .addOption(
      new Option('--hex <file>', 'a whole packet in hex, from a file or - (standard input)').conflicts([
        'from',
        'to',
        'protocol',
        'flags',
        'bytes',
        'spi',
        'inClear',
      ]),
    );
  withExamples(
    withOutputOptions(withSocketOption(command), 'answer'),
    ['dvipa trace --from 10.1.1.1:40000 --to 203.0.113.10:80', 'a new connection by an SA'],
    [
      'dvipa trace --from 203.0.113.10:80 --to 10.1.1.1:40000 --flags ack --outbound',
      'an answer, on a target',
    ],
    ['dvipa trace --hex packet.txt', 'a packet as it was captured, outer header first'],
  );
  return command.action(async (options: TraceOptions) => {
    const answer = (await ask('trace', options.socket, await requestOf(options))) as TraceSnapshot;
    const { renderTrace } = await import('../observe/views/trace.ts');
    await printAnswer('trace', answer, options, renderTrace);
  });
}

async function requestOf(options: TraceOptions): Promise<Record<string, unknown>> {
  const { from, to, protocol, flags, bytes, spi, inClear, outbound, hex } = options;
  if (hex === undefined && (from === undefined || to === undefined))
    throw new CommandError('trace: give --from and --to, or --hex', EXIT.USAGE);
  return {
    ...(hex !== undefined && { hex: await readHex(hex) }),
    ...(from && { from: from.address, fromPort: from.port }),
    ...(to && { to: to.address, toPort: to.port }),
    ...(protocol !== undefined && { protocol }),
    ...(flags !== undefined && { flags }),
    ...(bytes !== undefined && { dataBytes: bytes }),
    ...(spi !== undefined && { spi }),
    ...(inClear && { inClear }),
    ...(outbound && { outbound }),
  };
}

/** Blanks, line ends and colons between the digits do not count. */
async function readHex(file: string): Promise<string> {
  const { createReadStream } = await import('node:fs');
  let text = '';
  // Of endless input no more is taken than a packet can be.
  for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
    text += (chunk as Buffer).toString('latin1');
    if (text.length > MAX_HEX_CHARACTERS) break;
  }
  if (text.length > MAX_HEX_CHARACTERS) throw new CommandError(`trace: ${file} is too long for a packet`);
  return text.replaceAll(/[\s:]/g, '');
}

function parsePlace(text: string): Place {
  const match = /^\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([0-9.]+)(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? (/^[0-9a-fA-F:.]+$/.test(text) ? text : undefined);
  const port = Number(match?.[2] ?? 0);
  if (address === undefined || port > 65_535)
    throw new InvalidArgumentError('expected ADDRESS:PORT, with IPv6 [ADDRESS]:PORT');
  return { address, port };
}

function parseCount(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('expected a number of bytes');
  return Number(text);
}
