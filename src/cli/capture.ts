import type { FileHandle } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { CaptureItem } from '../observe/capture-item.ts';
import { followFirst, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { CommandError } from './exit.ts';

interface CaptureOptions extends SocketOption {
  readonly count?: number;
  readonly seconds?: number;
  readonly dropsOnly?: true;
  readonly reason?: string;
  readonly dvipa?: string;
  readonly peer?: string;
  readonly spi?: string;
  readonly snaplen: number;
  readonly inner?: true;
}

export function captureCommand(): Command {
  const number = (what: string) => (text: string) => {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError(`expected ${what}`);
    return Number(text);
  };
  const command = new Command('capture')
    .description(
      'packets before and after the steps of this agent, as a pcapng file, each drop with its reason in a comment',
    )
    .argument('[file]', 'where to; - is standard output', '-')
    .addOption(
      new Option('--count <count>', 'end after so many packets').argParser(number('a number of packets')),
    )
    .addOption(
      new Option('--seconds <seconds>', 'end after so long').argParser(number('a number of seconds')),
    )
    .option('--drops-only', 'only packets that are dropped')
    .option('--reason <reason>', 'only packets that are dropped for this reason (docs/drops.md)')
    .option('--dvipa <address>', 'only packets of this DVIPA')
    .option('--peer <address>', 'only packets from or to this outer address')
    .option('--spi <spi>', 'only packets of this SA, 8 hex digits')
    .addOption(
      new Option('--snaplen <count>', 'so many bytes of each packet')
        .default(65_535)
        .argParser(number('bytes')),
    )
    .option('--inner', 'on a target: plaintext of SAs as well; leaves a line in its log');
  withExamples(
    withSocketOption(command),
    ['dvipa capture drops.pcapng --drops-only --seconds 60', 'what is dropped, and why'],
    ['dvipa capture --spi c1a2b3c4 | tshark -r - -O frame', 'one SA, straight into tshark'],
  );
  return command.action(async (file: string, options: CaptureOptions) => {
    if (file === '-' && process.stdout.isTTY)
      throw new CommandError('capture: name a file, or send the output to another program');
    await capture(file, options);
  });
}

async function capture(file: string, options: CaptureOptions): Promise<void> {
  const { CaptureFile } = await import('../observe/capture-file.ts');
  const { packageVersion } = await import('../observe/version.ts');
  const items = await followFirst('capture', options.socket, argumentsOf(options));
  const out = file === '-' ? undefined : await openOwn(file);
  const book = new CaptureFile(options.snaplen);
  const end = endOf(options.seconds);
  try {
    await write(out, book.begin(`dvipa ${packageVersion()}`));
    while (options.count === undefined || book.packets < options.count) {
      const next = await Promise.race([items.next(), end.reached]);
      if (next === undefined || next.done === true) break;
      await write(out, book.packet(next.value as CaptureItem));
    }
    await write(out, book.end());
  } finally {
    end.cancel();
    // Not waited for: it waits for its next item first, and the process ends its connection.
    items.return(undefined).catch(() => {});
    await out?.close();
  }
  process.stderr.write(`${book.packets} packets, ${book.lost} lost\n`);
  process.exit();
}

function argumentsOf(options: CaptureOptions): Record<string, unknown> {
  const { inner, dropsOnly, reason, dvipa, peer, spi, snaplen: snapLength } = options;
  return {
    snapLength,
    ...(inner && { inner }),
    ...(dropsOnly && { dropsOnly }),
    ...(reason !== undefined && { reason }),
    ...(dvipa !== undefined && { dvipa }),
    ...(peer !== undefined && { peer }),
    ...(spi !== undefined && { spi }),
  };
}

/** It may hold plaintext: nobody else reads it, whoever made the file before. */
async function openOwn(file: string): Promise<FileHandle> {
  const { open } = await import('node:fs/promises');
  const handle = await open(file, 'w', 0o600);
  await handle.chmod(0o600);
  return handle;
}

async function write(out: FileHandle | undefined, bytes: Buffer): Promise<void> {
  if (out !== undefined) await out.write(bytes);
  else if (!process.stdout.write(bytes))
    await new Promise((resolve) => process.stdout.once('drain', resolve));
}

/** Resolves when the time is over, or the operator has enough (SIGINT, SIGTERM). */
function endOf(seconds: number | undefined): { reached: Promise<undefined>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  let stop = () => {};
  const reached = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    if (seconds !== undefined) timer = setTimeout(stop, seconds * 1000);
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
  return {
    reached,
    cancel: () => {
      clearTimeout(timer);
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
