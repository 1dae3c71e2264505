/**
 * What a packet on the trusted link costs, from one process to another over loopback: `node --import tsx test/bench/link.ts`. Prints one
 * JSON object: processor time of sender and receiver (user and system, as the kernel bills it), in nanoseconds of one packet, as medians
 * and by round. On loopback the sender is billed for the way through the kernel up to the receiver's socket, whatever the driver.
 */
import { fork } from 'node:child_process';
import { on } from 'node:events';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DropCounters } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL, type TrustedLink } from '../../src/dataplane/ports.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { BatchLink } from '../../src/io/link-batch.ts';
import { DgramLink } from '../../src/io/link-dgram.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const PACKETS = Number(process.env['BENCH_PACKETS'] ?? 200_000);
const PACKET_BYTES = 1440;
const VECTOR_PACKETS = 256;
/** Packets on the way at a time: few enough for the receiver's buffer, so that none is lost. */
const WINDOW = 1024;
const PORT = 20_000 + (process.pid % 20_000);
const [SENDER, RECEIVER] = ['127.0.6.1', '127.0.6.2'];

/** `coalesced`: many packets a message, out and in. */
const CASES = ['dgram', 'batch', 'coalesced'] as const;
type Case = (typeof CASES)[number];

interface Cost {
  readonly ns: number;
  readonly collections: number;
}

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ['gc'] });

async function open(
  of: Case,
  address: string,
  port: number,
): Promise<TrustedLink & { close(): Promise<void> }> {
  const drops = new DropCounters();
  if (of === 'dgram') return DgramLink.open({ address, port, drops });
  const isOn = of === 'coalesced';
  const onOff = (offload: string, reason: string) => {
    throw new Error(`${offload} is off: ${reason}`);
  };
  return BatchLink.open({ address, port, mtu: 65_535, drops, gso: isOn, gro: isOn, onOff });
}

/** Runs once, after a warm-up of the same kind. `work` ends when all packets have crossed. */
async function costOf(work: () => Promise<void>): Promise<Cost> {
  await work();
  await sleep(20);
  const before = { cpu: process.cpuUsage(), collections };
  await work();
  const { user, system } = process.cpuUsage(before.cpu);
  await sleep(20); // collections are told of in a later turn
  return { ns: ((user + system) * 1000) / PACKETS, collections: collections - before.collections };
}

function fullVector(): PacketVector {
  const vector = new PacketVector(VECTOR_PACKETS);
  for (let i = 0; i < VECTOR_PACKETS; i++) vector.push(Buffer.alloc(PACKET_BYTES, i));
  vector.target.fill(0);
  vector.linkProtocol.fill(LINK_PROTOCOL.OUTER_IPV4);
  return vector;
}

/** The child: says when half a window has come, and at the end what that cost. */
async function receive(of: Case, port: number): Promise<void> {
  const link = await open(of, RECEIVER, port);
  link.setPeer(0, SENDER);
  const word = fullVector();
  word.count = 1;
  let received = 0;
  let told = 0;
  let whole: () => void = () => {};
  link.onReceive((packets) => {
    received += packets.count;
    for (; received - told >= WINDOW / 2; told += WINDOW / 2) link.send(word, 0, 1);
    if (received >= PACKETS) whole();
  });
  const work = () =>
    new Promise<void>((resolve) => {
      received -= Math.min(received, PACKETS);
      told = 0;
      whole = resolve;
      process.send?.('ready');
    });
  process.send?.(await costOf(work));
  await link.close();
  process.disconnect();
}

async function measure(of: Case, port: number): Promise<{ out: Cost; in: Cost }> {
  const link = await open(of, SENDER, port);
  link.setPeer(0, RECEIVER);
  const vector = fullVector();
  const child = fork(fileURLToPath(import.meta.url), [of, String(port)]);
  const said = on(child, 'message');
  const window = { allowed: 0, go: () => {} };
  link.onReceive((packets) => {
    window.allowed += (packets.count * WINDOW) / 2;
    window.go();
  });
  const work = async () => {
    await said.next();
    window.allowed = WINDOW;
    let sent = 0;
    while (sent < PACKETS) {
      if (sent >= window.allowed) {
        await new Promise<void>((resolve) => {
          window.go = resolve;
        });
        continue;
      }
      vector.count = Math.min(VECTOR_PACKETS, PACKETS - sent);
      const took = link.send(vector, 0, 1);
      if (took !== vector.count) throw new Error(`${of}: ${vector.count - took} packets lost`);
      sent += took;
    }
  };
  const out = await costOf(work);
  const [cost] = (await said.next()).value as [Cost];
  await link.close();
  return { out, in: cost };
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

async function main(): Promise<void> {
  const rounds: { of: Case; out: Cost; in: Cost }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, of] of CASES.entries()) {
      rounds.push({ of, ...(await measure(of, PORT + round * CASES.length + i)) });
    }
  }
  const figures: Record<string, unknown> = { bench: 'link', packets: PACKETS, bytes: PACKET_BYTES };
  for (const of of CASES) {
    const mine = rounds.filter((each) => each.of === of);
    for (const way of ['out', 'in'] as const) {
      const ns = mine.map((each) => Math.round(each[way].ns));
      figures[`${of}.${way}.ns`] = median(ns);
      figures[`${of}.${way}.nsByRound`] = ns;
      figures[`${of}.${way}.collections`] = median(mine.map((each) => each[way].collections));
    }
  }
  console.log(JSON.stringify(figures));
}

const [of, port] = process.argv.slice(2) as [Case?, string?];
await (of === undefined ? main() : receive(of, Number(port)));
