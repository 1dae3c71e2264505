import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { icmpEcho } from '../support/inner-packets.ts';
import { pattern } from '../support/packet-vectors.ts';
import { packetOf, PLAIN, superHeader, unfinished } from '../support/tun-pair/segments.ts';
import { anyTraffic } from '../support/tun-pair/traffic.ts';
import { NO_OFFLOAD, TunPair } from '../support/tun-pair/tun-pair.ts';
import { byFlow, flowOf, receivedFrom, train, type Write } from '../support/tun-pair/writes.ts';

const QUEUES = 3;
/** What a socket holds is little: many packets must fit. */
const SEND_BUFFER_BYTES = 8 << 20;

describe('TUN with several queues', () => {
  let pair: TunPair;
  let endCrew: () => void;
  beforeEach(() => {
    pair = new TunPair(SEND_BUFFER_BYTES, QUEUES);
    endCrew = pair.useCrew(2);
  });
  afterEach(() => {
    pair.close();
    endCrew();
  });

  function send(packets: readonly Buffer[]): Write[][] {
    const vector = new PacketVector(Math.max(1, packets.length));
    for (const packet of packets) expect(vector.push(packet)).to.equal(true);
    expect(pair.send(vector), `errno ${pair.stats().lastErrno}`).to.equal(packets.length);
    return Array.from({ length: QUEUES }, (_, queue) => {
      const writes: Write[] = [];
      for (let write = pair.take(queue); write !== undefined; write = pair.take(queue)) writes.push(write);
      return writes;
    });
  }

  /** What one call gives, as text. */
  function receive(vector: PacketVector): string[] {
    vector.reset();
    pair.receive(vector);
    return Array.from({ length: vector.count }, (_, i) => vector.packet(i).toString('latin1'));
  }

  const give = (text: string, queue: number) => pair.give(NO_OFFLOAD, Buffer.from(text), queue);

  it('gives each connection its packets in order and unchanged, and always on the same queue', () => {
    const queueOf = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(anyTraffic(), { maxLength: 3 }), (some) => {
        const packets = some.flat();
        const written = send(packets).map((writes) => writes.flatMap(receivedFrom));
        for (const [queue, got] of written.entries()) {
          for (const flow of byFlow(got).keys()) {
            if (flow === '') continue; // no connection: anything may be
            expect(queueOf.get(flow) ?? queue, flow).to.equal(queue);
            queueOf.set(flow, queue);
          }
        }
        const ofConnections = (all: readonly Buffer[]) => all.filter((packet) => flowOf(packet) !== '');
        expect(byFlow(ofConnections(written.flat()))).to.deep.equal(byFlow(ofConnections(packets)));
      }),
      { numRuns: 60 },
    );
    expect(new Set(queueOf.values()).size).to.equal(QUEUES);
  });

  it('joins on every queue what it joins on one', () => {
    const trains = Array.from({ length: 12 }, (_, n) =>
      train({ ...PLAIN, port: 40_000 + n, payload: pattern(10_000) }, 1000).map(packetOf),
    );
    const written = send(trains[0]?.flatMap((_, i) => trains.map((each) => each[i] as Buffer)) ?? []);
    for (const writes of written) expect(writes.length).to.be.greaterThan(0);
    // Of up to eight connections at a time (join.h): with twelve on three queues none waits for a place.
    expect(written.flat().map((write) => receivedFrom(write).length)).to.deep.equal(Array(12).fill(10));
  });

  it('spreads connections that differ in one port evenly', () => {
    for (const step of [1, 2, 3, 100]) {
      const packets = Array.from({ length: 120 }, (_, n) =>
        packetOf({ ...PLAIN, port: 1024 + n * step, payload: pattern(10) }),
      );
      for (const writes of send(packets)) expect(writes.length, `${step}`).to.be.within(30, 50);
    }
  });

  it('marks what a queue refuses, whoever wrote it', () => {
    pair.close();
    endCrew();
    pair = new TunPair(2048, QUEUES);
    endCrew = pair.useCrew(2);
    const vector = new PacketVector(120);
    for (let n = 0; n < 120; n++) vector.push(packetOf({ ...PLAIN, port: n, payload: pattern(100) }));
    const sent = pair.send(vector);
    expect(sent).to.be.within(1, 119);
    expect(vector.verdict.filter((verdict) => verdict === KEEP).length).to.equal(sent);
    expect(pair.stats()).to.include({ sent, refused: 120 - sent });
  });

  it('gives what waits on all queues, each an equal part while the vector has not room for all', () => {
    const vector = new PacketVector(6);
    for (let n = 0; n < 4; n++) for (let queue = 0; queue < QUEUES; queue++) give(`${queue}${n}`, queue);
    const first = receive(vector);
    expect(first.toSorted()).to.deep.equal(['00', '01', '10', '11', '20', '21']);
    expect(receive(vector).toSorted()).to.deep.equal(['02', '03', '12', '13', '22', '23']);
    expect(receive(vector)).to.deep.equal([]);
  });

  it('lets no queue wait for one that is never empty', () => {
    const vector = new PacketVector(2);
    give('patient', 2);
    const got: string[] = [];
    for (let n = 0; n < 4; n++) {
      while (!got.includes('patient') && n < 4) {
        give('loud', 0);
        give('loud', 1);
        give('loud', 1);
        got.push(...receive(vector));
        n++;
      }
    }
    expect(got).to.include('patient');
  });

  it('swaps slots to leave no gaps between packets, and each packet has its own room', () => {
    const vector = new PacketVector(64);
    const untouched = [...vector.offset].toSorted((a, b) => a - b);
    const room = vector.roomBehind(0);
    for (const [queue, packets] of [
      [0, 1],
      [1, 5],
      [2, 30],
    ] as const)
      for (let n = 0; n < packets; n++) give(`${queue} ${n}`.padEnd(50), queue);
    const got = receive(vector);
    expect(got.length).to.be.greaterThan(20);
    expect(new Set(got).size).to.equal(got.length);
    expect([...vector.offset].toSorted((a, b) => a - b)).to.deep.equal(untouched);
    for (let i = 0; i < vector.count; i++) expect(vector.roomBehind(i)).to.equal(room - 50);
  });

  it('keeps the order of each queue, and loses nothing, through vectors of any size with super-packets between', () => {
    const whole = { ...PLAIN, payload: pattern(9000) };
    fc.assert(
      fc.property(
        fc.array(fc.record({ queue: fc.nat({ max: QUEUES - 1 }), isSuper: fc.boolean() }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 60 }),
        (given, capacity) => {
          const expected: string[][] = Array.from({ length: QUEUES }, () => []);
          for (const [n, { queue, isSuper }] of given.entries()) {
            // The port says which queue it was.
            const segment = { ...whole, port: queue, identification: n };
            if (isSuper) pair.give(superHeader(segment, 1000), unfinished(segment), queue);
            else pair.give(NO_OFFLOAD, packetOf({ ...segment, payload: pattern(20) }), queue);
            for (let piece = 0; piece < (isSuper ? 9 : 1); piece++) expected[queue]?.push(`${n + piece}`);
          }
          const got: string[][] = Array.from({ length: QUEUES }, () => []);
          const vector = new PacketVector(capacity);
          for (;;) {
            vector.reset();
            if (pair.receive(vector) === 0) break;
            for (let i = 0; i < vector.count; i++) {
              const packet = vector.packet(i);
              got[packet.readUInt16BE(20)]?.push(`${packet.readUInt16BE(4)}`);
            }
          }
          expect(got).to.deep.equal(expected);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('calls when any queue has something, and again while a queue keeps pieces', async () => {
    const vector = new PacketVector(4);
    const seen = { calls: 0, packets: 0 };
    pair.onReadable(() => {
      seen.calls++;
      vector.reset();
      seen.packets += pair.receive(vector);
    });
    pair.give(NO_OFFLOAD, icmpEcho(), 1);
    while (seen.packets < 1) await sleep(1);
    const whole = { ...PLAIN, payload: pattern(10_000) };
    pair.give(superHeader(whole, 1000), unfinished(whole), 2);
    while (seen.packets < 11) await sleep(1);
    const before = seen.calls;
    await sleep(20);
    expect(seen.calls, 'nothing is left, so nobody calls').to.be.at.most(before + 1);
    expect(seen.packets).to.equal(11);
  });
});
