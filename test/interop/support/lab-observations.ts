import type { Host } from '../../../src/lab/host.ts';
import type { PcapFile } from '../../../src/lab/pcap.ts';
import { run } from '../../../src/lab/run.ts';

/** What a test of the whole system looks at from outside the agents. */

export interface SentEsp {
  readonly spi: string;
  readonly sequence: number;
  /** The eight bytes after the ESP header: the explicit IV of AES-GCM (RFC 4106 §3.1). */
  readonly iv: string;
}

/** Every ESP-in-UDP packet of an Ethernet capture with this outer source address, in order. */
export function espFrom(capture: PcapFile, sourceAddress: string): SentEsp[] {
  const source = Buffer.from(sourceAddress.split('.').map(Number));
  const packets: SentEsp[] = [];
  for (const { bytes } of capture.packets) {
    const isIpv4Udp =
      bytes.length >= 58 && bytes.readUInt16BE(12) === 0x0800 && bytes[14] === 0x45 && bytes[23] === 17;
    if (!isIpv4Udp || !bytes.subarray(26, 30).equals(source) || bytes.readUInt32BE(42) === 0) continue;
    packets.push({
      spi: bytes.toString('hex', 42, 46),
      sequence: bytes.readUInt32BE(46),
      iv: bytes.toString('hex', 50, 58),
    });
  }
  return packets;
}

/** Numbers and IVs that stand on the wire twice under one SPI: `spi number` or `spi iv`. Must be empty, always. */
export function repeatedNumbers(packets: readonly SentEsp[]): string[] {
  const seen = new Set<string>();
  const repeated: string[] = [];
  for (const { spi, sequence, iv } of packets) {
    for (const key of [`${spi} ${sequence}`, `${spi} ${iv}`]) {
      if (seen.has(key)) repeated.push(key);
      seen.add(key);
    }
  }
  return repeated;
}

/** Who answers `/` now, or undefined if nobody does in time. */
export async function whoAnswers(client: Host, dvipa: string, seconds = 2): Promise<string | undefined> {
  const { status, stdout } = await client.exec([
    'curl',
    '-s',
    '--max-time',
    String(seconds),
    `http://${dvipa}/`,
  ]);
  return status === 0 ? stdout.split(' ')[0] : undefined;
}

export interface SlowDownload {
  /** Resolves when the answer's head has come. */
  readonly host: Promise<string>;
  /** Resolves at the end; true if every byte came. */
  readonly isWhole: Promise<boolean>;
}

/** A download that takes about `seconds`, so that something can happen to its connection meanwhile. */
export function slowDownload(client: Host, dvipa: string, seconds: number): SlowDownload {
  const bytesPerSecond = 100_000;
  const bytes = seconds * bytesPerSecond;
  const head = `/run/head-${Math.random().toString(36).slice(2)}`;
  const argv = [
    'curl',
    '-s',
    '--max-time',
    String(seconds + 15),
    '--limit-rate',
    String(bytesPerSecond),
    '-D',
    head,
  ];
  const isWhole = client
    .exec([...argv, '-o', '/dev/null', '-w', '%{size_download}', `http://${dvipa}/bytes/${bytes}`])
    .then(({ stdout }) => Number(stdout) === bytes);
  const readHead = async () => {
    for (let tries = 0; tries < 50; tries += 1) {
      const { stdout } = await client.exec(['sh', '-c', `cat ${head} 2>/dev/null; sleep 0.1`]);
      const name = /^x-dvipa-host: (\S+)/im.exec(stdout)?.[1];
      if (name !== undefined) return name;
    }
    throw new Error('the download got no answer');
  };
  return { host: readHead(), isWhole };
}

/** The last lines of a lab's logs, for the message of a failing test. */
export async function logsOf(folder: string): Promise<string> {
  return (await run(['sh', '-c', `tail -n 25 ${folder}/logs/*.log`])).stdout;
}
