import type { Cluster } from './cluster.ts';
import { difference } from './cluster.ts';
import { findEspRepeats } from '../../../src/lab/esp-repeats.ts';
import { readPcap } from '../../../src/lab/pcap.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import { ipIn } from '../../../src/lab/wire-ip.ts';
import { type DownloadLoad, type LoadedDownload, runDownloads } from './download-load.ts';
import { type EspNumbers, espNumbers } from './esp-numbers.ts';
import { StallWatch } from './stalls.ts';
import { type PeerBooks, readBooks, type TunnelBooks } from './tunnel-books.ts';

/** What came of a load at one peer. */
interface PeerSeen extends Required<PeerBooks> {
  /** Outbound SAs that carried something: one more than rekeys. */
  readonly sas: number;
  /** ESP packets to it, and all datagrams (with IKE), on the outside network. */
  readonly esp: number;
  readonly datagrams: number;
}

/** What was seen of a load, from outside of the agents; the agents themselves tell of drops only. */
export interface ObservedLoad {
  readonly downloads: readonly LoadedDownload[];
  readonly mbitPerSecond: number;
  readonly numbers: readonly EspNumbers[];
  /** Sequence numbers and IVs that came twice. */
  readonly repeats: number;
  /** ESP packets on the outside network, to all peers. */
  readonly esp: number;
  /** Packets that the target agents took from their TUNs, and those that found the TUN's queue full. */
  readonly taken: number;
  readonly tunOverflow: number;
  /** By `host reason`. */
  readonly drops: Readonly<Record<string, number>>;
  readonly peers: Readonly<Record<string, PeerSeen>>;
  /** This machine stood still for so long. */
  readonly stallMs: number;
}

/** Has all these clients download at once while an observer records every SPI, number and IV to them. */
export async function observeLoad(
  cluster: Cluster,
  clients: readonly string[],
  load: Omit<DownloadLoad, 'dvipa'>,
): Promise<ObservedLoad> {
  const before = await settledBooks(cluster);
  const filter = ['src', 'host', cluster.lab.scenario.endpoint, 'and', 'udp', 'port', '4500'];
  const wire = await cluster.capture('outside', filter, true);
  const stalls = new StallWatch();
  const startedAt = performance.now();
  const run = (name: string) => runDownloads(cluster.lab.host(name), { ...load, dvipa: cluster.dvipa });
  const downloads = (await Promise.all(clients.map(run))).flat();
  const seconds = (performance.now() - startedAt) / 1000;
  const stallMs = stalls.stop();
  const after = await settledBooks(cluster);
  const { file, droppedByKernel } = await wire.stop();
  if (droppedByKernel !== 0) throw new Error(`the observer itself lost ${droppedByKernel} packets`);

  const capture = readPcap(file);
  const datagrams = new Map<string, number>();
  for (const { bytes } of capture.packets) {
    const to = ipIn(bytes)?.destination ?? '';
    datagrams.set(to, (datagrams.get(to) ?? 0) + 1);
  }
  const { packets, repeats } = findEspRepeats(capture);
  const numbers = espNumbers(capture);
  const peers = clients.map((name) => {
    const address = cluster.lab.plan.find((host) => host.name === name)?.outsideAddress ?? '';
    const own = numbers.filter(({ destination }) => destination === address);
    return [
      name,
      {
        sas: own.length,
        esp: own.reduce((sum, sa) => sum + sa.packets, 0),
        datagrams: datagrams.get(address) ?? 0,
        ...changeOf(before.peers.get(name), after.peers.get(name)),
      },
    ] as const;
  });
  return {
    downloads,
    mbitPerSecond: (downloads.reduce((sum, { bytes }) => sum + bytes, 0) * 8) / 1e6 / seconds,
    numbers,
    repeats: repeats.length,
    esp: packets,
    taken: after.taken - before.taken,
    tunOverflow: after.tunOverflow - before.tunOverflow,
    drops: dropsBetween(before, after),
    peers: Object.fromEntries(peers),
    stallMs,
  };
}

/** When two looks find the same, nothing is under way. */
async function settledBooks(cluster: Cluster): Promise<TunnelBooks> {
  let last = '';
  const look = async () => {
    const books = await readBooks(cluster);
    const now = JSON.stringify([books.taken, [...books.peers]]);
    const isSettled = now === last;
    last = now;
    return isSettled && books;
  };
  return waitFor('nothing is under way', look, { timeoutMs: 20_000, everyMs: 300 });
}

function changeOf(before: PeerBooks | undefined, after: PeerBooks | undefined): Required<PeerBooks> {
  const change = (key: keyof PeerBooks) => (after?.[key] ?? 0) - (before?.[key] ?? 0);
  return { received: change('received'), overflow: change('overflow'), opened: change('opened') };
}

function dropsBetween(before: TunnelBooks, after: TunnelBooks): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [host, now] of Object.entries(after.drops)) {
    for (const [reason, count] of Object.entries(difference(now, before.drops[host] ?? {})))
      all[`${host} ${reason}`] = count;
  }
  return all;
}
