import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BRIDGE_INTERFACE } from './network.ts';
import type { Host, LabProcess } from './host.ts';
import { waitFor } from './wait-for.ts';

/** The kernel hands packets to tcpdump in blocks, at the latest after a second; a signal would cut the last one off. */
const LAST_BLOCK_MS = 1_200;

export interface CaptureResult {
  readonly file: string;
  readonly packets: number;
  /** Lost by the capture itself: what was not seen proves nothing, so this must be 0. */
  readonly droppedByKernel: number;
}

/** A running tcpdump. */
export class Capture {
  readonly file: string;
  readonly #process: LabProcess;
  readonly #logFrom: number;

  constructor(file: string, running: LabProcess, logFrom: number) {
    this.file = file;
    this.#process = running;
    this.#logFrom = logFrom;
  }

  /** Ends the capture once everything seen so far is in the file. */
  async stop(): Promise<CaptureResult> {
    await sleep(LAST_BLOCK_MS);
    await this.#process.stop();
    const said = readFrom(this.#process.logFile, this.#logFrom);
    const numberBefore = (words: string) =>
      Number(new RegExp(`^(\\d+) packets? ${words}`, 'm').exec(said)?.[1] ?? Number.NaN);
    return {
      file: this.file,
      packets: numberBefore('captured'),
      droppedByKernel: numberBefore('dropped by kernel'),
    };
  }
}

/** Enough for the headers up to an ESP packet's IV, in UDP and in IPv6 too. */
const HEADER_BYTES = 96;

export interface CaptureOptions {
  /** Expressions of tcpdump. */
  readonly filter?: readonly string[];
  /** Only the start of each packet, in large pieces: for a whole load, of which the capture must not be a part. */
  readonly headersOnly?: boolean;
}

/**
 * Captures everything on an interface of a host into a pcap file; resolves when tcpdump is listening. `host` may also
 * stand for one of the two networks, whose interface is the bridge.
 */
export async function startCapture(
  host: Host,
  networkInterface: string | undefined,
  file: string,
  { filter = [], headersOnly = false }: CaptureOptions = {},
): Promise<Capture> {
  if (!file.endsWith('.pcap'))
    throw new Error(`${file}: the name must end in .pcap (AppArmor rules of tcpdump)`);
  const name = networkInterface ?? BRIDGE_INTERFACE;
  const logName = `tcpdump-${name}`;
  let logFrom = 0;
  try {
    logFrom = readFileSync(host.logFile(logName)).length;
  } catch {
    // No earlier capture here.
  }
  // -s: whole packets; -B: KiB of kernel buffer; -U: a reader sees each packet at once.
  const argv = [
    'tcpdump',
    '-n',
    '-i',
    name,
    '-s',
    headersOnly ? String(HEADER_BYTES) : '262144',
    '-B',
    '65536',
    ...(headersOnly ? [] : ['-U']),
    '-Z',
    'root',
    '-w',
    file,
    ...filter,
  ];
  const running = host.spawn(logName, argv);
  await waitFor(`${host.name}: tcpdump listens on ${name}`, () => {
    if (!running.isRunning()) throw new Error(readFrom(running.logFile, logFrom));
    return readFrom(running.logFile, logFrom).includes('listening on');
  });
  return new Capture(file, running, logFrom);
}

function readFrom(file: string, offset: number): string {
  return readFileSync(file).subarray(offset).toString('utf8');
}
