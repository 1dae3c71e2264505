import { byteStreamSha256 } from '../../../src/lab/byte-stream.ts';
import type { Host } from '../../../src/lab/host.ts';
import { espIn } from '../../../src/lab/esp-repeats.ts';
import type { PcapFile } from '../../../src/lab/pcap.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import type { Cluster } from './cluster.ts';

/** What kernel-libipsec says in charon's log of a packet that it refuses: replay, integrity, form, policy. */
export const PEER_REFUSES = /ESP .*failed|error: IPsec SA is not inbound|discarding inbound/;

/** A CHILD_SA as `swanctl --list-sas` shows it. */
export interface ListedChild {
  readonly name: string;
  readonly state: string;
  readonly algorithm: string;
  readonly spiIn: string;
  readonly bytesIn: number;
  readonly packetsIn: number;
  readonly spiOut: string;
  readonly bytesOut: number;
  readonly packetsOut: number;
}

/** What swanctl shows to people, read from its text: the witness beside our own VICI client. */
export async function listedSas(host: Host): Promise<{ text: string; children: ListedChild[] }> {
  const text = await host.must(['swanctl', '--list-sas']);
  const child = /^ {2}(\S+): #\d+, reqid \d+, (\S+), \S+, ESP:(\S+)\n(?: {4}.*\n)*/gm;
  const way = (block: string, name: 'in' | 'out') => {
    const [, spi = '', bytes, packets] =
      new RegExp(`^ {4}${name} +([0-9a-f]{8}).*?, +(\\d+) bytes, +(\\d+) packets`, 'm').exec(block) ?? [];
    return { spi, bytes: Number(bytes), packets: Number(packets) };
  };
  const children = [...text.matchAll(child)].map(([block, name = '', state = '', algorithm = '']) => {
    const [into, out] = [way(block, 'in'), way(block, 'out')];
    return {
      name,
      state,
      algorithm,
      spiIn: into.spi,
      bytesIn: into.bytes,
      packetsIn: into.packets,
      spiOut: out.spi,
      bytesOut: out.bytes,
      packetsOut: out.packets,
    };
  });
  return { text, children };
}

/** The hardware address of an interface, as `aa:bb:...`. */
export async function macOf(host: Host, name: string): Promise<string> {
  const links = JSON.parse(await host.must(['ip', '-j', 'link', 'show', 'dev', name])) as {
    address: string;
  }[];
  return links[0]?.address ?? '';
}

/** Who put packets on the wire: by the frame's source address, which no header of ours tells. */
export function sendersOf(capture: PcapFile): Map<string, number> {
  const senders = new Map<string, number>();
  for (const { bytes } of capture.packets) {
    const address = (bytes.subarray(6, 12).toString('hex').match(/../g) ?? []).join(':');
    senders.set(address, (senders.get(address) ?? 0) + 1);
  }
  return senders;
}

/** The same for ESP alone. */
export function sendersOfEsp(capture: PcapFile): Map<string, number> {
  const packets = capture.packets.filter(({ bytes }) => espIn(bytes) !== undefined);
  return sendersOf({ ...capture, packets });
}

/** Waits until the outbound SA to a peer is sent on such a way, and returns it. */
export function waitForWay(cluster: Cluster, peer: string, wanted: RegExp): Promise<string> {
  return waitFor(`the SA to ${peer} goes ${wanted}`, async () => {
    const sas = await cluster.ask('router1', 'sas');
    return sas.find((sa) => sa.peer === peer && wanted.test(sa.way ?? ''))?.way;
  });
}

/** A download that takes its time, so that something can happen meanwhile. */
export interface SlowDownload {
  /** Who serves it; known when the first bytes are there. */
  readonly server: Promise<string>;
  /** True if all of it came, with the right SHA-256. */
  readonly isWhole: Promise<boolean>;
}

/** Starts one of `seconds`, at SLOW_BYTES_PER_SECOND, which may take `patienceSeconds` on a busy machine. */
export function slowDownload(
  client: Host,
  dvipa: string,
  seconds: number,
  marker = '',
  patienceSeconds = 4 * seconds + 60,
): SlowDownload {
  const bytes = seconds * SLOW_BYTES_PER_SECOND;
  const url = `http://${dvipa}/bytes/${bytes}?marker=${marker}`;
  const headers = `/run/slow-${(downloads += 1)}`;
  const script = 'curl -s -D "$1" --limit-rate "$2" --max-time "$3" --connect-timeout 10 "$4" | sha256sum';
  const argv = [headers, String(SLOW_BYTES_PER_SECOND), String(patienceSeconds), url];
  const finished = client.exec(['sh', '-c', script, 'slow', ...argv], {
    timeoutMs: (patienceSeconds + 10) * 1000,
  });
  const serverNow = async () => {
    const { stdout } = await client.exec(['cat', headers]);
    return /^x-dvipa-host: (\S+)/im.exec(stdout)?.[1];
  };
  const server = waitFor('a download has begun', serverNow, { timeoutMs: 20_000 });
  return {
    server,
    isWhole: finished.then(({ stdout }) => stdout.startsWith(byteStreamSha256(bytes, marker))),
  };
}

/**
 * Starts downloads, one after another, until so many targets serve one; the last one of each. Round robin counts
 * connections: after a failure the targets are not level, and a few new ones may go to the same target.
 */
export async function slowDownloads(
  client: Host,
  dvipa: string,
  servers: number,
  seconds: number,
  marker = '',
): Promise<Map<string, SlowDownload>> {
  const found = new Map<string, SlowDownload>();
  for (let tried = 0; found.size < servers && tried < 10 * servers; tried++) {
    const slow = slowDownload(client, dvipa, seconds, marker);
    found.set(await slow.server, slow);
  }
  return found;
}

/** Has a client say something all the time: a TCP that only receives may have nothing to acknowledge, and who is silent is not followed. */
export function keepTalking(client: Host, dvipa: string, seconds: number): Promise<unknown> {
  return client.exec(['ping', '-q', '-i', '0.2', '-w', String(seconds), dvipa], {
    timeoutMs: (seconds + 5) * 1000,
  });
}

/** So much that the client's receive buffer cannot take the rest of a download at once. */
const SLOW_BYTES_PER_SECOND = 500_000;
let downloads = 0;
