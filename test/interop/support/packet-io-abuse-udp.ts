/** Misuse of the addon's UDP endpoints, a part of packet-io-abuse.ts. */
import assert from 'node:assert/strict';
import { packetIo } from '../../../src/io/native.ts';
import { next } from './packet-io-numbers.ts';

const io = packetIo();

export function udpBounds(): void {
  const udp = io.udpOpen('127.0.0.1', 0, 65_536);
  const slab = Buffer.alloc(1000);
  const offset = Uint32Array.of(0, 500, 901, 0xffffffff);
  const length = Uint32Array.of(100, 500, 100, 0xffffffff);
  const verdict = new Uint8Array(4);
  const outcome = new Uint32Array(2);
  const send = (frames: number[], headers = Buffer.alloc(64), count = frames.length / 2) =>
    io.udpSend(
      udp,
      slab,
      offset,
      length,
      verdict,
      headers,
      Uint32Array.from(frames),
      count,
      0x7f000001,
      9,
      64,
      1400,
      1,
      2,
      outcome,
    );
  assert.equal(send([0, 0, 1, 16]), 2);
  assert.equal(outcome[0], 1);
  for (const frames of [
    [2, 0],
    [3, 0],
    [4, 0],
    [0xffffffff, 0],
    [0, 17],
    [0, 0xffffffff],
  ])
    assert.throws(() => send(frames), /frame/, String(frames));
  assert.throws(() => send([0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), /frame/);
  assert.throws(() => send([0, 0], Buffer.alloc(15)), /frame/);
  assert.throws(() => send([0, 0], undefined, 2), /frame/);
  assert.deepEqual([...verdict], [0, 0, 0, 0], 'nothing was done');
  verdict[3] = 9;
  assert.equal(send([3, 0]), 0, 'dropped packets may point anywhere');
  const receive = (bytes: number, messages: number, messageBytes: number) =>
    io.udpReceive(udp, Buffer.alloc(bytes), offset, length, offset, messages, messageBytes, outcome);
  assert.equal(receive(100, 10, 10), 0);
  assert.throws(() => receive(99, 10, 10), /slab/);
  assert.throws(() => receive(100, 2, 0xffffffff), /slab/);
  assert.throws(() => receive(100, 65, 1), /messages/);
  assert.throws(() => receive(100, 0, 1), /messages/);
  const copy = (from: number, bytes: number, to: number, count = 1) =>
    io.copyPackets(
      slab,
      Uint32Array.of(from),
      Uint32Array.of(bytes),
      Buffer.alloc(50),
      Uint32Array.of(to),
      count,
    );
  copy(950, 50, 0);
  for (const [from, bytes, to, count] of [
    [951, 50, 0, 1],
    [0, 51, 0, 1],
    [0, 50, 1, 1],
    [0xffffffff, 1, 0, 1],
    [0, 1, 0xffffffff, 1],
    [0, 1, 0, 2],
  ] as const)
    assert.throws(() => copy(from, bytes, to, count), /slab|short/);
  io.close(udp);
  assert.throws(() => send([0, 0]), /closed/);
}

/** What a stranger on this machine may join to one message: parts of every size, more than there is room for. */
export function joined(): void {
  const [from, to] = [io.udpOpen('127.0.0.1', 4001, 1 << 20), io.udpOpen('127.0.0.1', 4002, 1 << 20)];
  io.udpSegmentation(from);
  io.udpCoalescing(to);
  const slab = Buffer.alloc(64 * 1400);
  for (let round = 0; round < 300; round++) {
    const count = 1 + next(64);
    const bytes = next(20) === 0 ? next(4) : 1 + next(1000);
    const last = next(bytes + 1);
    const offset = Uint32Array.from({ length: count }, (_, i) => i * 1400);
    const length = Uint32Array.from({ length: count }, (_, i) => (i === count - 1 ? last : bytes));
    for (let i = 0; i < count; i++) slab.fill(i + round, i * 1400, (i + 1) * 1400);
    const frames = Uint32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
    const headers = Buffer.alloc(16 * count);
    const outcome = new Uint32Array(2);
    const verdict = new Uint8Array(count);
    io.udpSend(
      from,
      slab,
      offset,
      length,
      verdict,
      headers,
      frames,
      count,
      0x7f000001,
      4002,
      64,
      1400,
      1,
      2,
      outcome,
    );
    assert.equal(outcome[1], 0);
    // Less room than there are parts, or than a message has, too.
    const room = next(2) === 0 ? 128 : 1 + next(16);
    const messageBytes = next(4) === 0 ? 1 + next(3000) : 66_000;
    const got = { offset: new Uint32Array(room), length: new Uint32Array(room) };
    const into = Buffer.from(new ArrayBuffer(2 * messageBytes));
    for (let call = 0; call < 70; call++) {
      const messages = Uint32Array.of(0);
      const packets = io.udpReceive(
        to,
        into,
        got.offset,
        got.length,
        new Uint32Array(room),
        2,
        messageBytes,
        messages,
      );
      assert.ok(packets <= room);
      for (let i = 0; i < packets; i++) {
        const [at, end] = [got.offset[i] as number, (got.offset[i] as number) + (got.length[i] as number)];
        assert.ok(end <= into.length);
        assert.ok(
          into.subarray(at, end).every((byte) => byte === into[at]),
          'one packet, and all of it',
        );
        assert.ok((got.length[i] as number) <= bytes);
      }
      if (messages[0] === 0) break;
    }
  }
  io.close(from);
  io.close(to);
}
