import { setTimeout as sleep } from 'node:timers/promises';
import type { CaptureResult } from '../../../../src/lab/capture.ts';
import { requestMany } from '../../../../src/lab/demo/traffic.ts';
import type { Cluster } from '../cluster.ts';
import { macOf } from '../observe.ts';
import { Attacker } from './attacker.ts';
import { type Books, booksAtRest, booksBetween, lostInKernel } from './books.ts';
import { Intruders } from './intruders.ts';
import { type Counts, KINDS, noCounts } from './kinds.ts';
import { type Sample, Sampler, sampleOf } from './sampler.ts';
import { HeldTransfer, retransmissions, transfer } from './traffic.ts';
import { Witness } from './witness.ts';

const PACKETS_PER_SECOND = 10_000;
/** Downloads are begun until so much time is over. */
const ATTACK_MS = 15_000;
const DOWNLOAD_BYTES = 4_000_000;
const FIRST_DOWNLOAD_PORT = 50_100;
/** Held open over the whole attack. */
const HELD_PORTS = [50_001, 50_002, 50_003];
const HELD_BYTES = 1_000_000;
const SAMPLE_MS = 3000;

export interface AttackRun {
  readonly seconds: number;
  readonly sent: Counts;
  /** At the routing host, of the attacker. */
  readonly arrived: Counts;
  /** Connections that were made up. */
  readonly connections: number;
  readonly downloads: readonly { readonly port: number; readonly isWhole: boolean }[];
  readonly held: readonly { readonly port: number; readonly isWhole: boolean }[];
  readonly intrusions: number;
  /** Before the attack, during it, and at rest after it. */
  readonly before: Sample;
  readonly during: readonly Sample[];
  readonly after: Sample;
  /** What the agents counted over the attack, and all that they have counted. */
  readonly books: Books;
  readonly total: Books;
  /** Packets that this machine's kernel lost between the hosts meanwhile. */
  readonly lostInKernel: number;
  /** ESP packets of the client over the attack, and since its SAs are there. */
  readonly genuine: number;
  readonly genuineInAll: number;
  /** Segments that targets and client sent again. */
  readonly sentAgain: number;
  readonly wires: Wires;
}

/** Captures over the attack. */
export interface Wires {
  /** On either network, what is neither IPsec nor the cluster's own, nor to or from the attacker. */
  readonly odd: readonly CaptureResult[];
  /** A while of all of the cluster network, and of the targets' TUNs. */
  readonly cluster: CaptureResult;
  readonly tuns: readonly CaptureResult[];
}

/** `client1` downloads, the attacker does all he can, and everything that can be seen of it is written down. */
export async function attackRun(cluster: Cluster, marker: string): Promise<AttackRun> {
  const { lab } = cluster;
  const client = lab.host('client1');
  const witness = await Witness.at(cluster);
  await lab.initiate('client1');
  await cluster.installed(1);
  const attacker = await Attacker.up(cluster, { packetsPerSecond: PACKETS_PER_SECOND });
  try {
    await requestMany(client, cluster.dvipa, 12);
    const held = HELD_PORTS.map(
      (port) => new HeldTransfer(cluster, client, { port, bytes: HELD_BYTES, marker }),
    );
    const earlier = { books: await booksAtRest(cluster), arrived: await witness.arrived() };
    const lostBefore = lostInKernel();
    const before = await sampleOf(cluster);
    const again = await sentAgain(cluster);
    const odd = await oddCaptures(cluster, await macOf(attacker.host, 'outside0'));

    await attacker.start();
    const sampler = new Sampler(cluster);
    const intruders = new Intruders(attacker.host, routerAddress(cluster));
    const wires = sampleWires(cluster);
    const downloads = await downloadUntil(cluster, Date.now() + ATTACK_MS, marker);
    const sampled = await wires;
    const intrusions = await intruders.stop();
    const during = await sampler.stop();
    const { sent, seconds, connections } = await attacker.stop();

    const released = await Promise.all(
      held.map(async (one) => ({ port: one.port, isWhole: await one.release() })),
    );
    const total = await booksAtRest(cluster);
    const { attack, genuine } = await witness.arrived();
    const arrived = noCounts();
    for (const kind of KINDS) arrived[kind] = attack[kind] - earlier.arrived.attack[kind];
    return {
      seconds,
      sent,
      arrived,
      connections,
      downloads,
      held: released,
      intrusions,
      before,
      during,
      after: await sampleOf(cluster),
      books: booksBetween(earlier.books, total),
      total,
      lostInKernel: lostInKernel() - lostBefore,
      genuine: genuine - earlier.arrived.genuine,
      genuineInAll: genuine,
      sentAgain: (await sentAgain(cluster)) - again,
      wires: { odd: await Promise.all(odd.map((capture) => capture.stop())), ...sampled },
    };
  } finally {
    await attacker.down();
  }
}

async function downloadUntil(cluster: Cluster, end: number, marker: string): Promise<AttackRun['downloads']> {
  const downloads = [];
  for (let port = FIRST_DOWNLOAD_PORT; Date.now() < end; port++) {
    const what = { port, bytes: DOWNLOAD_BYTES, marker };
    downloads.push({ port, isWhole: await transfer(cluster, cluster.lab.host('client1'), what) });
  }
  return downloads;
}

function routerAddress({ lab }: Cluster): string {
  return lab.plan.find(({ kind }) => kind === 'router')?.clusterAddress ?? '';
}

async function sentAgain(cluster: Cluster): Promise<number> {
  const counts = ['client1', ...cluster.targets].map((name) => retransmissions(cluster.lab.host(name)));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function oddCaptures(cluster: Cluster, attacker: string) {
  const unreachable = 'icmp[icmptype] == icmp-unreach';
  // What was sealed when the path was told to be narrow leaves in pieces, of which only the first one shows ports.
  const laterPieces = `(src host ${cluster.lab.scenario.endpoint} and ip proto 17 and ip[6:2] & 0x1fff != 0)`;
  return Promise.all([
    cluster.capture('outside', [
      `not ether host ${attacker} and not (udp port 4500 or udp port 500 or arp or ${unreachable} or ${laterPieces})`,
    ]),
    cluster.capture('cluster', [`not (udp port 4754 or tcp port 4754 or arp or ${unreachable})`]),
  ]);
}

async function sampleWires(cluster: Cluster): Promise<Pick<Wires, 'cluster' | 'tuns'>> {
  const captures = [await cluster.capture('cluster')];
  for (const target of cluster.targets) captures.push(await cluster.capture(target));
  await sleep(SAMPLE_MS);
  const [all, ...tuns] = await Promise.all(captures.map((capture) => capture.stop()));
  return { cluster: all as CaptureResult, tuns };
}
