/**
 * Misuse of the addon, run by scripts/test-addons-asan in a network namespace of its own, on a build with
 * AddressSanitizer and UndefinedBehaviorSanitizer: those abort the process on any bad access. Prints one line
 * if all is well. Plain assertions: mocha would only add time under the sanitizer.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { captureFilter } from '../../../src/io/bpf.ts';
import { ipv4Address } from '../../../src/packet/address.ts';
import { type NativeHandle, packetIo } from '../../../src/io/native.ts';

import { next } from './packet-io-numbers.ts';
import { joined, udpBounds } from './packet-io-abuse-udp.ts';

const io = packetIo();
const filter = captureFilter({ dvipas: [ipv4Address(1)], endpoints: [] });
const loose = io as unknown as Record<string, (...values: unknown[]) => unknown>;
const collect = (globalThis as { gc?: () => void }).gc as () => void;
const openFiles = () => readdirSync('/proc/self/fd').length;

function wrongArguments(): void {
  const tun = io.tunOpen('abuse0', {});
  const udp = io.udpOpen('127.0.0.1', 0, 65_536);
  const slab = Buffer.alloc(4096);
  const words = new Uint32Array(4);
  const bytes = new Uint8Array(4);
  const junk = [
    undefined,
    null,
    0,
    -1,
    1.5,
    Number.NaN,
    2 ** 32,
    'x',
    {},
    [],
    () => {},
    Symbol('x'),
    new Float32Array(2),
  ];
  const good: Record<string, unknown[]> = {
    receive: [tun, slab, words, words, 100, 0, 4],
    send: [tun, slab, words, words, bytes, 0, 4, 1, 2],
    stats: [tun, new Float64Array(7)],
    poll: [tun, () => {}],
    endpointCrew: [tun, io.crewOpen(1)],
    pauseSet: [100, 32, 32],
    close: [tun],
    captureOpen: ['lo', 0x86dd, filter, 4096],
    captureRingOpen: ['lo', 0x86dd, filter, 4096, 2048, 1],
    segments: [slab, 100, slab, words, words, 100, 0, 4],
    linkOpen: ['lo', 0x0806],
    netlinkOpen: [12, 64],
    netlinkHeard: [io.netlinkOpen(12, 64)],
    captureFilter: [io.captureOpen('lo', 0x86dd, filter, 4096), filter],
    rawOpen: [1, 4096, 4500, 4500],
    rawRuns: [io.rawOpen(1, 4096, 0, 0), new Float64Array(5)],
    rawCloseIdle: [io.rawOpen(1, 4096, 0, 0)],
    tunOpen: ['abuse1', {}],
    udpSocket: ['127.0.0.1', 0, 4096],
    udpOpen: ['127.0.0.1', 0, 4096],
    udpSegmentation: [udp],
    udpCoalescing: [udp],
    udpSend: [udp, slab, words, words, bytes, slab, words, 2, 0x7f000001, 9, 64, 1400, 1, 2, words],
    udpReceive: [udp, slab, words, words, words, 1, 4096, words],
    copyPackets: [slab, words, words, slab, words, 4],
  };
  let refused = 0;
  for (const [name, values] of Object.entries(good)) {
    if (name === 'close') continue;
    for (let i = 0; i < values.length; i++) {
      for (const bad of junk) {
        const attempt = values.with(i, bad);
        try {
          const made = loose[name]?.(...attempt);
          // Some junk is fine in some places (0 as index): what got opened is closed by the collector.
          void made;
        } catch (error) {
          assert.ok(error instanceof Error);
          refused++;
        }
      }
      assert.throws(() => loose[name]?.(...values.slice(0, i)), `${name} with ${i} arguments`);
    }
  }
  assert.ok(refused > 150, `${refused} refused`);
  for (const bad of junk) assert.throws(() => loose['close']?.(bad));
  // Endpoints of other kinds.
  for (const name of ['udpSegmentation', 'udpCoalescing', 'udpSend', 'udpReceive'])
    assert.throws(() => loose[name]?.(...(good[name] as unknown[]).with(0, tun)), /UDP/, name);
  for (const options of [
    { queues: -1 },
    { queues: 65, vnetHeader: true },
    { queues: 1.5 },
    { queues: '2' },
    { queues: 2 },
  ])
    assert.throws(() => loose['tunOpen']?.('abuse1', options), /queues/);
  io.close(tun);
  io.close(udp);
}

function bounds(): void {
  const tun = io.tunOpen('abuse0', {});
  const slab = Buffer.alloc(1000);
  const offset = Uint32Array.of(0, 500, 901, 0xffffffff);
  const length = Uint32Array.of(100, 500, 100, 0xffffffff);
  const receive = (room: number, from: number, max: number) =>
    io.receive(tun, slab, offset, length, room, from, max);
  assert.equal(receive(100, 0, 2), 0);
  assert.throws(() => receive(100, 0, 3), /slot/);
  assert.throws(() => receive(0xffffffff, 0, 1), /slot/);
  assert.throws(() => receive(100, 0xffffffff, 0xffffffff), /slot/);
  assert.throws(() => receive(100, 3, 1), /slot/);
  assert.throws(() => receive(100, 4, 1), /slot/);
  assert.throws(() => receive(0, 0, 1), /room/);
  const verdict = new Uint8Array(4);
  const send = (from: number, count: number) =>
    io.send(tun, slab, offset, length, verdict, from, count, 1, 2);
  assert.throws(() => send(0, 3), /packet/);
  assert.throws(() => send(3, 1), /packet/);
  assert.throws(() => send(0xffffffff, 2), /packet/);
  assert.deepEqual([...verdict], [0, 0, 0, 0], 'nothing was done');
  verdict.fill(9);
  assert.equal(send(0, 4), 0, 'dropped packets may point anywhere');
  assert.throws(() => io.send(tun, slab, offset, length, verdict, 0, 1, 0, 2), /verdict/);
  assert.throws(() => io.send(tun, slab, offset, length, verdict, 0, 1, 256, 2), /verdict/);

  // A slab whose memory went to another thread.
  const gone = new Uint8Array(1000);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.throws(() => io.receive(tun, gone as Buffer, offset, length, 10, 0, 1), /slot/);
  io.close(tun);
  assert.throws(() => receive(100, 0, 1), /closed/);
  assert.throws(() => io.poll(tun, () => {}), /closed/);
  io.stats(tun, new Float64Array(7));
}

/** The start of a header that takes the rest for what it is: IPv4, IPv6 with the right length, IPv6 with any. */
function startOfPacket(slab: Buffer, at: number, length: number, kind: number): void {
  if (length < 6) return;
  slab[at] = kind === 0 ? 0x45 : 0x60;
  if (kind === 1) slab.writeUInt16BE(Math.max(length - 40, 0), at + 4);
}

function garbageOut(): void {
  const tun = io.tunOpen('abuse0', {});
  const offload = io.tunOpen('abuse3', { vnetHeader: true });
  const queues = io.tunOpen('abuse4', { vnetHeader: true, queues: 3 });
  io.endpointCrew(queues, io.crewOpen(2));
  const raw = io.rawOpen(7, 65536, 4500, 4500);
  for (const name of ['abuse0', 'abuse3', 'abuse4']) execFileSync('ip', ['link', 'set', name, 'up']);
  const slab = Buffer.alloc(64 * 2048);
  const offset = new Uint32Array(64);
  const length = new Uint32Array(64);
  const verdict = new Uint8Array(64);
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < slab.length; i += 4) slab.writeUInt32LE(next(2 ** 32), i);
    verdict.fill(0);
    for (let i = 0; i < 64; i++) {
      length[i] = next(2049);
      offset[i] = next(slab.length - (length[i] as number) + 1);
      if (i % 4 !== 3) startOfPacket(slab, offset[i] as number, length[i] as number, i % 4);
    }
    for (const handle of [tun, offload, queues, raw]) {
      const sent = io.send(handle, slab, offset, length, verdict, 0, 64, 3, 4);
      assert.ok(sent <= 64);
    }
  }
  for (const handle of [tun, offload, queues, raw]) io.close(handle);
}

async function watching(): Promise<void> {
  const tun = io.tunOpen('abuse0', {});
  execFileSync('ip', ['address', 'add', '203.0.113.10/32', 'dev', 'abuse0']);
  execFileSync('ip', ['link', 'set', 'abuse0', 'up']);
  execFileSync('ip', ['route', 'add', '10.0.0.0/8', 'dev', 'abuse0']);
  const raw = io.rawOpen(7, 65536, 4500, 4500);
  const packet = Buffer.from('4500001c00004000401100000a0000010a09000100350035000800ff', 'hex');
  const sendOne = () =>
    io.send(raw, packet, Uint32Array.of(0), Uint32Array.of(packet.length), new Uint8Array(1), 0, 1, 1, 2);

  // A callback that throws, then one that closes the endpoint it was called for.
  let calls = 0;
  const thrown: unknown[] = [];
  process.on('uncaughtException', (error) => thrown.push(error));
  const closed = new Promise<void>((resolve) => {
    io.poll(tun, () => {
      if (calls++ === 0) throw new Error('from the callback');
      // A slab that nothing holds after the call.
      const filled = io.receive(
        tun,
        Buffer.alloc(8192),
        new Uint32Array(2).fill(1),
        new Uint32Array(2),
        60,
        0,
        2,
      );
      assert.ok(filled <= 2);
      io.close(tun);
      io.close(tun);
      resolve();
    });
  });
  assert.throws(() => io.poll(tun, () => {}), /watched/);
  sendOne();
  await closed;
  assert.equal(thrown.length, 1);
  process.removeAllListeners('uncaughtException');
  io.close(raw);

  // The device goes away under a watcher.
  const doomed = io.tunOpen('abuse2', {});
  execFileSync('ip', ['link', 'set', 'abuse2', 'up']);
  const lost = new Promise<number>((resolve) => {
    io.poll(doomed, (status) => (status < 0 ? resolve(status) : undefined));
  });
  execFileSync('ip', ['link', 'delete', 'abuse2']);
  assert.ok((await lost) < 0);
  io.close(doomed);
}

async function collected(): Promise<void> {
  const before = openFiles();
  (() => {
    for (let i = 0; i < 50; i++) {
      io.captureOpen('lo', 0x0800, filter, 4096);
      io.captureRingOpen('lo', 0x0800, filter, 4096, 2048, 1);
    }
    io.endpointCrew(io.tunOpen('abuse5', { vnetHeader: true, queues: 2 }), io.crewOpen(2));
  })();
  assert.ok(openFiles() >= before + 100);
  for (let i = 0; i < 5 && openFiles() > before; i++) {
    collect();
    await turn();
  }
  assert.ok(openFiles() <= before, 'collected endpoints are closed');

  // Watched ones are not collected.
  let handle: NativeHandle | undefined = io.captureRingOpen('lo', 0x0800, filter, 4096, 2048, 1);
  io.poll(handle, () => {});
  const watched = new WeakRef(handle);
  handle = undefined;
  collect();
  await turn();
  assert.ok(watched.deref() !== undefined);
  io.close(watched.deref() as NativeHandle);
}

/** A worker that ends, by itself or not, while it watches. */
async function workers(): Promise<void> {
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    const io = require(workerData.addon);
    const handle = io.captureOpen('lo', 0x86dd, workerData.filter, 4096);
    io.pauseSet(100, 32, 32);
    io.poll(handle, () => {});
    const loose = io.rawOpen(1, 4096, 4500, 4500);
    parentPort.postMessage('watching');
    if (workerData.leaves) setImmediate(() => process.exit(0));`;
  const addon = `${process.env['DVIPA_PACKET_IO'] ?? 'plugins/node/packet-io'}/prebuilds/linux-x64/packet-io.napi.node`;
  const before = openFiles();
  for (const leaves of [true, false]) {
    const worker = new Worker(code, {
      eval: true,
      workerData: { addon: `${process.cwd()}/${addon}`, filter, leaves },
    });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    if (!leaves) await worker.terminate();
    await ended;
  }
  assert.ok(openFiles() <= before + 1, 'descriptors of workers are closed');
}

execFileSync('ip', ['link', 'set', 'lo', 'up']);
wrongArguments();
collect();
bounds();
udpBounds();
joined();
garbageOut();
await watching();
await collected();
await workers();
console.log('packet-io: no complaint');
