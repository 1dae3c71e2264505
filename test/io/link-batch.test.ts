import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { array, assert, asyncProperty, constantFrom, integer, oneof, record } from 'fast-check';
import { DropCounters } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { BatchLink } from '../../src/io/link-batch.ts';
import { packetIo } from '../../src/io/native.ts';
import { floodWhileBlocked } from '../support/link-flood.ts';

const PORT = 20_000 + (process.pid % 20_000);
const { OUTER_IPV4, SEALED, STAMP } = LINK_PROTOCOL;
const ALL_ON = { gso: true, gro: true };
const ALL_OFF = { gso: false, gro: false };

interface Arrived {
  readonly peer: number;
  readonly protocol: number;
  readonly dispatch: number;
  readonly bytes: Buffer;
}

/** Goes on turning, but not for ever: a test that has failed must end. */
async function until(condition: () => boolean): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > limit) throw new Error('it did not come');
    await turn();
  }
}

/** One end on loopback, with all that reached it. */
class End {
  readonly drops = new DropCounters();
  readonly link: BatchLink;
  readonly arrived: Arrived[] = [];
  readonly address: string;

  constructor(address: string, offloads: { gso: boolean; gro: boolean }) {
    this.address = address;
    const onOff = (offload: string, reason: string) => {
      throw new Error(`${offload} is off: ${reason}`);
    };
    this.link = BatchLink.open({ address, port: PORT, mtu: 65_535, drops: this.drops, ...offloads, onOff });
    this.link.onReceive((packets, peer, protocol) => {
      for (let i = 0; i < packets.count; i++) {
        const dispatch = packets.dispatch[i] as number;
        this.arrived.push({ peer, protocol, dispatch, bytes: Buffer.from(packets.packet(i)) });
      }
    });
  }

  async until(count: number): Promise<void> {
    await until(() => this.arrived.length >= count);
  }
}

function vectorOf(packets: readonly Buffer[], protocol: number): PacketVector {
  const vector = new PacketVector(packets.length, 8192);
  for (const packet of packets) vector.push(packet);
  vector.target.fill(1);
  vector.linkProtocol.fill(protocol);
  for (let i = 0; i < packets.length; i++) vector.dispatch[i] = i + 1;
  return vector;
}

const packetsOf = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, i) => Buffer.alloc(bytes, i));

/** As a routing host does: headers in front, padding and an ICV behind. */
function writeAround(packets: PacketVector): void {
  for (let i = 0; i < packets.count; i++) {
    const start = packets.offset[i] as number;
    const stop = start + (packets.length[i] as number);
    packets.slab.fill(0xff, start - 128, start);
    packets.slab.fill(0xff, stop, stop + 64);
  }
}

describe('batch link', function () {
  this.timeout(20_000);
  const open: End[] = [];
  const end = (address: string, offloads = ALL_ON) => {
    const made = new End(address, offloads);
    open.push(made);
    return made;
  };
  afterEach(async () => {
    for (const each of open.splice(0)) await each.link.close();
  });

  /** From one end to the other; each is a peer of the other. */
  function pair(from = ALL_ON, to = ALL_ON): [End, End] {
    const [a, b] = [end('127.0.5.1', from), end('127.0.5.2', to)];
    a.link.setPeer(1, b.address);
    b.link.setPeer(7, a.address);
    return [a, b];
  }

  for (const [name, from, to] of [
    ['with both offloads', ALL_ON, ALL_ON],
    ['without segmentation', { gso: false, gro: true }, ALL_ON],
    ['without coalescing', ALL_ON, { gso: true, gro: false }],
    ['without offloads', ALL_OFF, ALL_OFF],
  ] as const) {
    it(`batch link carries packets of any sizes, targets and protocols ${name}, each in its order`, async () => {
      const [a, b] = pair(from, to);
      const c = end('127.0.5.3', to);
      a.link.setPeer(2, c.address);
      c.link.setPeer(7, a.address);
      const size = oneof(constantFrom(1, 100, 1400, 1401), integer({ min: 1, max: 7000 }));
      const packet = record({
        size,
        target: constantFrom(1, 2),
        protocol: constantFrom(OUTER_IPV4, OUTER_IPV4, SEALED, STAMP),
      });
      await assert(
        asyncProperty(array(packet, { minLength: 1, maxLength: 300 }), async (plan) => {
          for (const each of [b, c]) each.arrived.length = 0;
          const packets = plan.map(({ size: bytes }, i) => Buffer.alloc(bytes, i));
          const vector = vectorOf(packets, OUTER_IPV4);
          for (const [i, { target, protocol }] of plan.entries()) {
            vector.target[i] = target;
            vector.linkProtocol[i] = protocol;
          }
          const sent = a.link.send(vector, 1, 1) + a.link.send(vector, 2, 1);
          expect(sent).to.equal(plan.length);
          for (const [target, to_] of [
            [1, b],
            [2, c],
          ] as const) {
            const mine = [...plan.entries()].filter(([, each]) => each.target === target);
            await to_.until(mine.length);
            for (const protocol of [OUTER_IPV4, SEALED, STAMP]) {
              const expected = mine.filter(([, each]) => each.protocol === protocol).map(([i]) => i);
              const got = to_.arrived.filter((each) => each.protocol === protocol);
              expect(got.map(({ bytes }) => bytes.toString('latin1'))).to.deep.equal(
                expected.map((i) => (packets[i] as Buffer).toString('latin1')),
              );
              const numbers = expected.map((i) => (protocol === OUTER_IPV4 ? i + 1 : 0));
              expect(got.map(({ dispatch }) => dispatch)).to.deep.equal(numbers);
            }
          }
        }),
        { numRuns: 25 },
      );
    });
  }

  it('batch link joins equal packets of one target to few messages, also when targets alternate', async () => {
    const [a, b] = pair();
    const c = end('127.0.5.3');
    a.link.setPeer(2, c.address);
    c.link.setPeer(7, a.address);
    const vector = vectorOf(packetsOf(400, 300), OUTER_IPV4);
    for (let i = 0; i < 400; i++) vector.target[i] = 1 + (i % 2);
    a.link.send(vector, 1, 1);
    a.link.send(vector, 2, 1);
    await b.until(200);
    await c.until(200);
    // 64 packets a message, 32 messages a call: more messages than that would need another call.
    for (const { link } of [b, c]) expect(link.stats()).to.include({ received: 200, receiveCalls: 1 });
    expect(a.link.stats()).to.include({ sent: 400, sendCalls: 2 });
  });

  it('batch link takes a message a packet where segmentation or coalescing is off', async () => {
    for (const [from, to] of [
      [{ gso: false, gro: true }, ALL_ON],
      [ALL_ON, { gso: true, gro: false }],
    ] as const) {
      const [a, b] = pair(from, to);
      a.link.send(vectorOf(packetsOf(256, 300), OUTER_IPV4), 1, 1);
      await b.until(256);
      expect(b.link.stats().receiveCalls).to.be.at.least(8);
      expect(a.link.stats().sendCalls).to.equal(from.gso ? 1 : 4);
      for (const each of open.splice(0)) await each.link.close();
    }
  });

  it('batch link sends what is longer than the network carries by itself', async () => {
    const drops = new DropCounters();
    const onOff = () => expect.fail('nothing was refused');
    const a = BatchLink.open({ address: '127.0.5.4', port: PORT, mtu: 1500, drops, ...ALL_ON, onOff });
    const b = end('127.0.5.2');
    try {
      a.setPeer(1, b.address);
      b.link.setPeer(7, '127.0.5.4');
      // 12 bytes of GRE, 28 of UDP and IPv4.
      for (const [bytes, calls] of [
        [1460, 1],
        [1461, 7],
      ] as const) {
        b.arrived.length = 0;
        const before = b.link.stats().receiveCalls;
        a.send(vectorOf(packetsOf(200, bytes), OUTER_IPV4), 1, 1);
        await b.until(200);
        expect(b.link.stats().receiveCalls - before, `${bytes}`).to.equal(calls);
      }
    } finally {
      await a.close();
    }
  });

  it('batch link gives room to what a routing host sends on, and none to what a target opens', async () => {
    const [a, b] = pair();
    const spoilt: string[] = [];
    b.link.onReceive((packets, peer, protocol) => {
      const before = Array.from({ length: packets.count }, (_, i) => packets.packet(i).toString('latin1'));
      const isCopied = protocol !== OUTER_IPV4;
      if (isCopied) writeAround(packets);
      for (let i = 0; i < packets.count; i++) {
        if (packets.packet(i).toString('latin1') !== before[i]) spoilt.push(`${protocol} ${i}`);
        if (packets.roomBehind(i) > 0 !== isCopied) spoilt.push(`room of ${protocol} ${i}`);
        b.arrived.push({ peer, protocol, dispatch: 0, bytes: Buffer.alloc(0) });
      }
    });
    for (const protocol of [SEALED, STAMP, OUTER_IPV4])
      a.link.send(vectorOf(packetsOf(100, 200), protocol), 1, 1);
    // Longer than an ordinary slot.
    a.link.send(vectorOf(packetsOf(2, 6000), SEALED), 1, 1);
    await b.until(302);
    expect(spoilt).to.deep.equal([]);
  });

  it('batch link counts every packet of a joined message that is malformed, or from a stranger', async () => {
    const b = end('127.0.5.2');
    const io = packetIo();
    const foreign = io.udpOpen('127.0.5.8', PORT, 65_536);
    try {
      const slab = Buffer.alloc(64, 0x5a);
      const offset = Uint32Array.from({ length: 64 }, (_, i) => i);
      const length = new Uint32Array(64).fill(1);
      const frames = Uint32Array.from({ length: 128 }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
      const send = () =>
        io.udpSend(
          foreign,
          slab,
          offset,
          length,
          new Uint8Array(64),
          Buffer.alloc(64 * 16),
          frames,
          64,
          0x7f00_0502,
          PORT,
          64,
          1400,
          1,
          2,
          new Uint32Array(2),
        );
      expect(send()).to.equal(64);
      await until(() => b.drops.get('link-stranger') >= 64);
      b.link.setPeer(3, '127.0.5.8');
      expect(send()).to.equal(64);
      await until(() => b.drops.get('link-malformed') >= 64);
      expect(b.link.stats()).to.include({ received: 128, receiveCalls: 2 });
      expect(b.arrived).to.deep.equal([]);
    } finally {
      io.close(foreign);
    }
  });

  it('batch link counts what the kernel dropped because nobody read, once', async () => {
    const b = end('127.0.5.2');
    await b.link.countLosses();
    expect(b.drops.get('receive-overrun')).to.equal(0);
    floodWhileBlocked(b.address, PORT, 15_000);
    await b.link.countLosses();
    const lost = b.drops.get('receive-overrun');
    expect(lost).to.be.greaterThan(0);
    await b.link.countLosses();
    expect(b.drops.get('receive-overrun')).to.equal(lost);
    await until(() => b.drops.get('link-stranger') + lost >= 15_000);
    expect(b.drops.get('link-stranger')).to.equal(15_000 - lost);
  });

  it('batch link marks what the kernel refuses send-failed, and goes on behind it', () => {
    const [a] = pair();
    // A broadcast address needs an option that the socket has not.
    a.link.setPeer(2, '255.255.255.255');
    const vector = vectorOf(packetsOf(3, 100), OUTER_IPV4);
    vector.target[1] = 2;
    expect(a.link.send(vector, 2, 1)).to.equal(0);
    expect(a.link.send(vector, 1, 1)).to.equal(2);
    const drops = new DropCounters();
    vector.countDrops(drops);
    expect(drops.get('send-failed')).to.equal(1);
    expect(a.link.stats()).to.include({ gso: true, sent: 2 });
  });

  it('batch link hands up nothing any more once it was closed from within', async () => {
    const [a, b] = pair();
    const calls: number[] = [];
    b.link.onReceive((packets) => {
      calls.push(packets.count);
      void b.link.close();
    });
    a.link.send(vectorOf(packetsOf(600, 100), OUTER_IPV4), 1, 1);
    a.link.send(vectorOf(packetsOf(10, 100), SEALED), 1, 1);
    await until(() => calls.length > 0);
    for (let i = 0; i < 5; i++) await turn();
    expect(calls).to.have.lengthOf(1);
  });
});
