/**
 * Random calls of the addon, the same each time, run by scripts/test-addons-asan: numbers and arrays of every size around
 * every limit, on endpoints that have packets. A model of our own says of each call whether it must throw; with
 * DVIPA_FUZZ_MODEL=off only the sanitizers judge, with DVIPA_FUZZ_MODEL=only no sanitizer sees the end of a slab. Prints one line if all is well.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type NativeHandle, packetIo } from '../../../src/io/native.ts';
import { next } from './packet-io-numbers.ts';

const CALLS = 12_000;
const GUARD = 0xa5;
const GUARD_BYTES = 64;
const UINT32 = 0xffff_ffff;
const MODEL = process.env['DVIPA_FUZZ_MODEL'];
const hasModel = MODEL !== 'off';

const io = packetIo();
/** One instruction: take all of every packet. */
const EVERYTHING = Buffer.from('0600000000000400', 'hex');

function oneOf<T>(...values: readonly T[]): T {
  return values[next(values.length)] as T;
}

const counts = { accepted: 0, refused: 0, received: 0, sent: 0, supers: 0 };

/** Bytes with an end that a sanitizer watches, or in the middle of guards that we watch ourselves. */
function makeSlab(): { slab: Buffer; isIntact: () => boolean } {
  const size = oneOf(0, 1, 19, 20, 100, next(512), next(4096), 4096);
  if (next(2) === 0 && MODEL !== 'only')
    return { slab: Buffer.from(new ArrayBuffer(size)), isIntact: () => true };
  const whole = Buffer.alloc(size + 2 * GUARD_BYTES, GUARD);
  const slab = whole.subarray(GUARD_BYTES, GUARD_BYTES + size);
  slab.fill(0);
  const guards = [whole.subarray(0, GUARD_BYTES), whole.subarray(GUARD_BYTES + size)];
  return { slab, isIntact: () => guards.every((guard) => guard.every((byte) => byte === GUARD)) };
}

/** A place or a size: mostly possible, often just so, sometimes absurd. */
function around(limit: number): number {
  return oneOf(
    0,
    1,
    next(limit + 1),
    next(limit + 1),
    next(limit + 1),
    limit,
    limit + 1,
    ...(next(8) === 0 ? [UINT32, UINT32 - next(64), 2 ** 31, limit + next(128)] : []),
  );
}

function words(entries: number, limit: number): Uint32Array {
  // A view that starts somewhere, or an array of its own.
  const array = next(2) === 0 ? new Uint32Array(entries) : new Uint32Array(entries + 3).subarray(3);
  return array.map(() => Math.max(0, around(limit)));
}

interface Call {
  readonly slab: Buffer;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  readonly from: number;
  readonly count: number;
}

function makeCall(slab: Buffer, roomBytes: number): Call {
  const entries = oneOf(0, 1, 4, 8, next(40));
  const shape = () => (next(4) === 0 ? next(40) : entries);
  // Half of the calls can succeed as a whole, or nothing would be tested but the refusals.
  const isTame = next(2) === 0;
  const limit = isTame ? Math.max(0, slab.length - roomBytes) : slab.length;
  const offset = words(shape(), limit);
  const length = words(shape(), slab.length);
  if (isTame) {
    for (const i of offset.keys()) offset[i] = Math.min(offset[i] as number, limit);
    for (const i of length.keys()) length[i] = Math.min(length[i] as number, slab.length - (offset[i] ?? 0));
  }
  const from = isTame ? next(entries + 1) : around(entries);
  return { slab, offset, length, from, count: isTame ? next(entries - from + 1) : around(entries) };
}

/** Calls, and compares whether it threw with whether it must. Undefined: it threw. */
function attempt(isValid: boolean, what: string, call: () => number): number | undefined {
  let result: number | undefined;
  try {
    result = call();
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ERR_DVIPA_ARGUMENT', what);
  }
  if (hasModel) assert.equal(result !== undefined, isValid, `${what}: must ${isValid ? 'not ' : ''}throw`);
  if (result === undefined) counts.refused++;
  else counts.accepted++;
  return result;
}

function receive(handle: NativeHandle): void {
  const { slab, isIntact } = makeSlab();
  const room = around(oneOf(32, 200, slab.length));
  const { offset, length, from, count } = makeCall(slab, room);
  const entries = Math.min(offset.length, length.length);
  const slots = offset.slice(from, from + count);
  const isValid = room > 0 && from + count <= entries && slots.every((at) => at + room <= slab.length);
  const before = { offset: offset.slice(), length: length.slice(), slab: Buffer.from(slab) };
  const what = `receive(${slab.length}, ${offset.length}, ${length.length}, ${room}, ${from}, ${count})`;
  const filled = attempt(isValid, what, () => io.receive(handle, slab, offset, length, room, from, count));
  if (filled === undefined) return assert.deepEqual({ offset, length, slab }, before, `${what}: untouched`);
  counts.received += filled;
  if (!hasModel) return;
  assert.ok(isIntact(), `${what}: wrote around the slab`);
  assert.ok(filled <= count);
  for (let i = from; i < from + filled; i++) assert.ok((length[i] as number) <= room, what);
  assert.deepEqual(
    offset.slice(from, from + count).toSorted(),
    slots.toSorted(),
    `${what}: slots change places only`,
  );
  for (let at = 0; at < slab.length; at++) {
    const isOurs = slots.some((start) => at >= start && at < start + room);
    if (!isOurs) assert.equal(slab[at], before.slab[at], `${what}: byte ${at} is in no slot`);
  }
}

function send(handle: NativeHandle): void {
  const { slab } = makeSlab();
  for (let i = 0; i < slab.length; i++) slab[i] = next(256);
  const { offset, length, from, count } = makeCall(slab, 0);
  for (const at of offset) if (next(2) === 0 && at < slab.length) slab[at] = oneOf(0x45, 0x60);
  const verdict = new Uint8Array(next(4) === 0 ? next(40) : offset.length).map(() => (next(4) === 0 ? 1 : 0));
  const [refused, tooBig] = [oneOf(1, 7, 255, 0, 256, next(300)), oneOf(1, 8, 255, 0, UINT32, next(300))];
  const entries = Math.min(offset.length, length.length, verdict.length);
  const isVerdict = (value: number) => value >= 1 && value <= 255;
  const isInside = (i: number) =>
    verdict[i] !== 0 || (offset[i] as number) + (length[i] as number) <= slab.length;
  const isValid =
    isVerdict(refused) &&
    isVerdict(tooBig) &&
    from + count <= entries &&
    Array.from({ length: count }, (_, i) => from + i).every(isInside);
  const before = verdict.slice();
  const what = `send(${slab.length}, ${offset.length}, ${length.length}, ${verdict.length}, ${from}, ${count}, ${refused}, ${tooBig})`;
  const sent = attempt(isValid, what, () =>
    io.send(handle, slab, offset, length, verdict, from, count, refused, tooBig),
  );
  if (sent === undefined) return assert.deepEqual(verdict, before, `${what}: untouched`);
  counts.sent += sent;
  for (const [i, was] of before.entries()) {
    const mayBe = i < from || i >= from + count || was !== 0 ? [was] : [0, refused, tooBig];
    assert.ok(mayBe.includes(verdict[i] as number), `${what}: verdict ${i}`);
  }
}

/** Frames name packets and headers, mostly of those that are there. */
function udpSend(udp: NativeHandle): void {
  const { slab } = makeSlab();
  const { offset, length, count } = makeCall(slab, 0);
  const verdict = new Uint8Array(offset.length).map(() => (next(4) === 0 ? 1 : 0));
  const headers = Buffer.from(new ArrayBuffer(oneOf(16 * count, 16 * next(41), next(600)) % 4096));
  const isTame = next(2) === 0;
  const frames = Uint32Array.from({ length: 2 * next(41) }, (_, i) => {
    if (i % 2 === 1) return isTame ? next(17) : around(16);
    return isTame ? next(Math.max(1, offset.length)) : around(offset.length);
  });
  const entries = Math.min(offset.length, length.length, verdict.length);
  const frameCount = isTame ? next(frames.length / 2 + 1) : around(frames.length / 2);
  const port = oneOf(9, 9, 9, 0, UINT32);
  const isInside = (frame: number) => {
    const i = frames[2 * frame] as number;
    return (
      (frames[2 * frame + 1] as number) <= 16 &&
      i < entries &&
      (verdict[i] !== 0 || (offset[i] as number) + (length[i] as number) <= slab.length)
    );
  };
  const isValid =
    port === 9 &&
    frameCount <= frames.length / 2 &&
    frameCount <= headers.length / 16 &&
    Array.from({ length: frameCount }, (_, frame) => frame).every(isInside);
  const what = `udpSend(${slab.length}, ${entries}, ${headers.length}, ${frames.length}, ${frameCount}, ${port})`;
  const [segments, longest] = [oneOf(0, 1, 64, UINT32), oneOf(0, 1400, UINT32)];
  const sent = attempt(isValid, what, () =>
    io.udpSend(
      udp,
      slab,
      offset,
      length,
      verdict,
      headers,
      frames,
      frameCount,
      0x7f00_0001,
      port,
      segments,
      longest,
      7,
      8,
      new Uint32Array(2),
    ),
  );
  counts.sent += sent ?? 0;
}

function udpReceive(udp: NativeHandle): void {
  const { slab, isIntact } = makeSlab();
  const messages = oneOf(1, 2, 64, around(64));
  const messageBytes = oneOf(1, 100, Math.floor(slab.length / Math.max(1, messages)), around(slab.length));
  const arrays = [0, 1, 2].map(() => new Uint32Array(next(40)));
  const [offset, length, source] = arrays as [Uint32Array, Uint32Array, Uint32Array];
  const isValid =
    messages >= 1 && messages <= 64 && messageBytes > 0 && messages * messageBytes <= slab.length;
  const what = `udpReceive(${slab.length}, ${arrays.map((array) => array.length).join(' ')}, ${messages}, ${messageBytes})`;
  const packets = attempt(isValid, what, () =>
    io.udpReceive(udp, slab, offset, length, source, messages, messageBytes, new Uint32Array(1)),
  );
  if (packets === undefined) return;
  counts.received += packets;
  if (!hasModel) return;
  assert.ok(isIntact(), `${what}: wrote around the slab`);
  assert.ok(packets <= Math.min(offset.length, length.length, source.length), what);
  for (let i = 0; i < packets; i++)
    assert.ok((offset[i] as number) + (length[i] as number) <= messages * messageBytes, what);
}

function copyPackets(): void {
  const [from, to] = [makeSlab(), makeSlab()];
  const { offset, length, count } = makeCall(from.slab, 0);
  const into = words(offset.length, to.slab.length);
  const isInside = (i: number) =>
    (offset[i] as number) + (length[i] as number) <= from.slab.length &&
    (into[i] as number) + (length[i] as number) <= to.slab.length;
  const isValid =
    count <= Math.min(offset.length, length.length, into.length) &&
    Array.from({ length: count }, (_, i) => i).every(isInside);
  attempt(isValid, `copyPackets(${from.slab.length}, ${to.slab.length}, ${count})`, () => {
    io.copyPackets(from.slab, offset, length, to.slab, into, count);
    return 0;
  });
  if (hasModel) assert.ok(to.isIntact(), 'copyPackets: wrote around the slab');
}

/** One argument is of another kind, or its memory is gone: any answer but a crash will do. */
function wrongKind(handle: NativeHandle): void {
  const resizable = new (
    ArrayBuffer as unknown as new (
      bytes: number,
      options: object,
    ) => ArrayBuffer & {
      resize(bytes: number): void;
    }
  )(256, { maxByteLength: 4096 });
  const tracking = oneOf<Uint8Array | Uint32Array>(
    new Uint32Array(resizable),
    new Uint8Array(resizable),
    new Uint32Array(resizable, 128),
  );
  resizable.resize(oneOf(0, 4, 100, 4096));
  const gone = new Uint8Array(next(256));
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const strange: unknown[] = [
    tracking,
    gone,
    new Float64Array(4),
    new BigUint64Array(4),
    new DataView(new ArrayBuffer(8)),
    new Uint32Array(new SharedArrayBuffer(64)),
    new Uint8Array(new SharedArrayBuffer(64)),
    -1,
    0.5,
    Number.NaN,
    Infinity,
    2 ** 32,
    2 ** 53,
    '1',
    1n,
    null,
    undefined,
    {},
    handle,
    Symbol('x'),
  ];
  const array = new Uint32Array(8);
  const slab = Buffer.alloc(256);
  const args: Record<string, unknown[]> = {
    receive: [handle, slab, array, array, 16, 0, 8],
    send: [handle, slab, array, array, new Uint8Array(8), 0, 8, 1, 2],
    stats: [handle, new Float64Array(7)],
  };
  const name = oneOf('receive', 'send', 'stats');
  const given = (args[name] as unknown[]).with(next(args[name]?.length ?? 1), oneOf(...strange));
  try {
    (io as unknown as Record<string, (...values: unknown[]) => unknown>)[name]?.(...given);
  } catch (error) {
    assert.ok(error instanceof Error);
  }
}

/** Filters of random bytes, names of any length: opened or refused. */
function open(): void {
  const bytes = Uint8Array.from({ length: oneOf(0, 7, 8, 16, 800, 8 * 4097, 8 * next(20)) }, () => next(256));
  const name = 'lo'.padEnd(oneOf(2, 15, 16, 300), oneOf('x', '\0', 'ü', '%s'));
  try {
    io.close(
      io.captureOpen(
        oneOf('lo', 'lo', name),
        oneOf(0x0800, 0x86dd, 0, UINT32),
        bytes,
        oneOf(0, 4096, 2 ** 30, UINT32),
      ),
    );
  } catch (error) {
    assert.ok(error instanceof Error);
  }
}

function openTun(name: string, address: string, vnetHeader: boolean, queues = 0): NativeHandle {
  const tun = io.tunOpen(name, { vnetHeader, queues });
  if (queues > 1) io.endpointCrew(tun, io.crewOpen(2));
  execFileSync('sh', ['-c', `ip link set ${name} up && ip address add ${address} dev ${name}`]);
  return tun;
}

function openAll(): Record<'tun' | 'offload' | 'queues' | 'raw' | 'capture' | 'ring' | 'udp', NativeHandle> {
  const udp = io.udpOpen('127.0.0.1', 9, 1 << 20);
  io.udpCoalescing(udp);
  return {
    tun: openTun('fuzz0', '10.0.0.1/8', false),
    offload: openTun('fuzz1', '11.0.0.1/8', true),
    queues: openTun('fuzz2', '12.0.0.1/8', true, 3),
    raw: io.rawOpen(7, 65_536, 4500, 4500),
    capture: io.captureOpen('lo', 0x0800, EVERYTHING, 1 << 20),
    // Frames of 256 bytes: many packets are longer, and come through the queue.
    ring: io.captureRingOpen('lo', 0x0800, EVERYTHING, 1 << 20, 256, 1),
    udp,
  };
}

/** A super-packet of UDP that will wait at the TUN with offloads, or at ring and socket, to be cut into slots of whatever room the calls have. */
function superPacket(sender: NativeHandle): void {
  const count = 2 + next(8);
  const bytes = 1 + next(oneOf(64, 1472));
  const frames = Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
  const offset = new Uint32Array(count);
  const length = new Uint32Array(count).fill(bytes);
  const [slab, headers] = [Buffer.alloc(bytes, GUARD ^ 0xff), Buffer.alloc(16 * count)];
  const [verdict, outcome] = [new Uint8Array(count), new Uint32Array(2)];
  const [to, whole] = [oneOf(0x0b00_0002, 0x7f00_0001), 0xffff];
  io.udpSend(sender, slab, offset, length, verdict, headers, frames, count, to, 9, 64, whole, 7, 8, outcome);
  counts.supers += outcome[0] === 1 && verdict[0] === 0 ? 1 : 0;
}

/** UDP packets of any length that will wait at the TUNs and the capture. */
function traffic(raw: NativeHandle): void {
  const slab = Buffer.alloc(2048);
  for (const destination of ['7f000001', '0a000002', '0b000002', '0c000002']) {
    const bytes = 28 + next(oneOf(100, 1400));
    const hex = (value: number) => value.toString(16).padStart(4, '0');
    Buffer.from(`4500${hex(bytes)}0000400040110000${destination}${destination}`, 'hex').copy(slab);
    Buffer.from(`00090009${hex(bytes - 20)}0000`, 'hex').copy(slab, 20);
    io.send(raw, slab, Uint32Array.of(0), Uint32Array.of(bytes), new Uint8Array(1), 0, 1, 1, 2);
  }
}

execFileSync('ip', ['link', 'set', 'lo', 'up']);
const { tun, offload, queues, raw, capture, ring, udp } = openAll();
const sender = io.udpOpen('11.0.0.1', 9, 1 << 20);
for (let call = 0; call < CALLS; call++) {
  if (call % 2 === 0) traffic(raw);
  if (call % 8 === 1) superPacket(sender);
  const kind = next(26);
  if (kind >= 24) copyPackets();
  else if (kind >= 22) udpSend(udp);
  else if (kind >= 20) udpReceive(udp);
  else if (kind < 9) receive(oneOf(tun, offload, queues, capture, ring));
  else if (kind < 17) send(oneOf(tun, offload, queues, raw));
  else if (kind < 19) wrongKind(oneOf(tun, offload, raw, capture, ring));
  else open();
}
for (const handle of [tun, offload, queues, raw, capture, ring, udp, sender]) io.close(handle);
for (const [name, count] of Object.entries(counts))
  assert.ok(count > CALLS / 200, `${name}: only ${count} of ${CALLS}`);
console.log(`packet-io: ${CALLS} random calls, no complaint`);
