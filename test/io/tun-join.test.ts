import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { internetChecksum } from '../../src/packet/checksum.ts';
import { TCP_FLAG } from '../../src/packet/tcp.ts';
import { pattern } from '../support/packet-vectors.ts';
import {
  packetOf,
  PLAIN,
  type Segment,
  superHeader,
  unfinished,
  upperOf,
} from '../support/tun-pair/segments.ts';
import { NO_OFFLOAD, REFUSED, TunPair, VIRTIO } from '../support/tun-pair/tun-pair.ts';
import { anyTraffic } from '../support/tun-pair/traffic.ts';
import { byFlow, receivedFrom, train, type Write } from '../support/tun-pair/writes.ts';

const { ACK, PSH, FIN, SYN, RST, URG, ECE, CWR } = TCP_FLAG;

describe('TUN with offloads, into the kernel', () => {
  let pair: TunPair;
  beforeEach(() => {
    pair = new TunPair();
  });
  afterEach(() => pair.close());

  function writesOf(packets: readonly Buffer[], dropped: ReadonlySet<number> = new Set()): Write[] {
    const vector = new PacketVector(Math.max(packets.length, 1));
    for (const [i, packet] of packets.entries()) {
      expect(vector.push(packet)).to.equal(true);
      if (dropped.has(i)) vector.drop(i, 5);
    }
    const before = Buffer.from(vector.slab);
    const sent = pair.send(vector);
    expect(sent, `errno ${pair.stats().lastErrno}`).to.equal(packets.length - dropped.size);
    expect(vector.slab.equals(before), 'packets stay as they are').to.equal(true);
    expect([...vector.verdict]).to.deep.equal(packets.map((_, i) => (dropped.has(i) ? 5 : KEEP)));
    return taken();
  }

  function taken(): Write[] {
    const writes: Write[] = [];
    for (let write = pair.take(); write !== undefined; write = pair.take()) writes.push(write);
    return writes;
  }
  /** How many packets each write has. */
  const sizes = (segments: readonly Segment[]) =>
    writesOf(segments.map(packetOf)).map((write) => receivedFrom(write).length);

  it('writes a download of equal segments as one, as a kernel itself would hand it over', () => {
    for (const isIpv6 of [false, true]) {
      const whole = { ...PLAIN, isIpv6, flags: ACK | PSH, payload: pattern(40_000) };
      const writes = writesOf(train(whole, 1308).map(packetOf));
      expect(writes.length).to.equal(1);
      expect(writes[0]?.header).to.deep.equal(superHeader(whole, 1308));
      expect(writes[0]?.packet.equals(unfinished(whole))).to.equal(true);
    }
  });

  it('joins connections that come mixed, each for itself', () => {
    const one = train({ ...PLAIN, payload: pattern(13_080) }, 1308);
    const other = train({ ...PLAIN, port: 40_001, payload: pattern(6000) }, 600);
    const six = train({ ...PLAIN, isIpv6: true, payload: pattern(10_000) }, 1000);
    expect(sizes(one.flatMap((segment, n) => [segment, other[n], six[n]] as Segment[]))).to.deep.equal([
      10, 10, 10,
    ]);
  });

  it('joins no more than 64 KB, and no more than 128 segments', () => {
    const long = train({ ...PLAIN, payload: pattern(100 * 1308) }, 1308);
    expect(sizes(long)).to.deep.equal([50, 50]);
    expect(sizes(train({ ...PLAIN, payload: pattern(300 * 10) }, 10))).to.deep.equal([128, 128, 44]);
  });

  it('ends a join with a segment that is shorter, or that has PSH', () => {
    const segments = train({ ...PLAIN, payload: pattern(5000) }, 1000);
    const short = train({ ...PLAIN, payload: pattern(4500) }, 1000).concat(
      train({ ...PLAIN, sequence: PLAIN.sequence + 4500, payload: pattern(500) }, 500),
    );
    expect(sizes(short)).to.deep.equal([5, 1]);
    expect(sizes(segments.map((each, n) => (n === 2 ? { ...each, flags: ACK | PSH } : each)))).to.deep.equal([
      3, 2,
    ]);
  });

  it('joins nothing to what differs in anything that a receiver looks at', () => {
    const differences: Partial<Segment>[] = [
      { acknowledgment: 78 },
      { window: 501 },
      { options: Buffer.from('0101080a0000000100000003', 'hex') },
      { options: Buffer.alloc(0) },
      { trafficClass: 3 },
      { hopLimit: 63 },
      { flags: ACK | ECE },
      ...[FIN, SYN, RST, URG, CWR].map((flag) => ({ flags: ACK | flag })),
      { flags: 0 },
    ];
    for (const isIpv6 of [false, true]) {
      const segments = train({ ...PLAIN, isIpv6, payload: pattern(3000) }, 1000);
      expect(sizes(segments)).to.deep.equal([3]);
      for (const difference of differences) {
        const odd = segments.map((each, n) => (n === 1 ? { ...each, ...difference } : each));
        expect(sizes(odd), JSON.stringify(difference)).to.deep.equal([1, 1, 1]);
      }
      // What says something about its own segment is not joined to its like either.
      for (const flags of [FIN, SYN, RST, URG, CWR].map((flag) => ACK | flag)) {
        const like = segments.map((each) => ({ ...each, flags }));
        expect(sizes(like), `flags ${flags}`).to.deep.equal([1, 1, 1]);
      }
    }
  });

  it('joins neither fragments, nor other DF bits, nor what has IP options, extension headers or padding behind it', () => {
    const segments = train({ ...PLAIN, payload: pattern(3000) }, 1000);
    const changed = (change: (packet: Buffer) => Buffer) =>
      writesOf(segments.map((each) => packetOf(each)).map((each, n) => (n === 1 ? change(each) : each)))
        .length;
    const withFragment = (bits: number) => (packet: Buffer) => {
      packet.writeUInt16BE(bits, 6);
      packet.writeUInt16BE(0, 10);
      packet.writeUInt16BE(internetChecksum(packet, 0, 20), 10);
      return packet;
    };
    expect(changed((packet) => packet)).to.equal(1);
    for (const bits of [0x2000, 0x0001, 0x0000, 0xc000])
      expect(changed(withFragment(bits)), `${bits}`).to.be.greaterThan(1);
    expect(changed((packet) => Buffer.concat([packet, Buffer.alloc(2)]))).to.equal(3);
    const options = (isIpv6: boolean, hex: string) =>
      writesOf(segments.map((each) => packetOf({ ...each, isIpv6, between: Buffer.from(hex, 'hex') })))
        .length;
    expect(options(false, '01010101')).to.equal(3);
    expect(options(true, '0600010400000000')).to.equal(3);
  });

  it('lets what has a wrong checksum go as it is, so that the kernel drops it', () => {
    for (const isIpv6 of [false, true]) {
      const segments = train({ ...PLAIN, isIpv6, payload: pattern(5000) }, 1000);
      for (let wrong = 0; wrong < 5; wrong++) {
        for (const at of isIpv6 ? [upperOf(PLAIN) + 20 + 12 + 30, 56] : [10, 36, 700]) {
          const packets = segments.map(packetOf);
          const spoilt = packets[wrong] as Buffer;
          spoilt.writeUInt8(spoilt.readUInt8(at) ^ 0x10, at);
          const alone = writesOf(packets).filter(({ header }) => header.gsoType === VIRTIO.GSO_NONE);
          expect(alone.map(({ packet }) => packet.toString('hex'))).to.include(spoilt.toString('hex'));
          for (const { header } of alone) expect(header).to.deep.equal(NO_OFFLOAD);
        }
      }
    }
  });

  it('passes over what has a verdict, and joins nothing across the gap', () => {
    const packets = train({ ...PLAIN, payload: pattern(5000) }, 1000).map(packetOf);
    expect(writesOf(packets, new Set([2])).map((write) => receivedFrom(write).length)).to.deep.equal([2, 2]);
  });

  it('gives each connection its packets in order and unchanged, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(anyTraffic(), (packets) => {
        const got = writesOf(packets).flatMap(receivedFrom);
        expect(byFlow(got)).to.deep.equal(byFlow(packets));
      }),
      { numRuns: 150 },
    );
  });

  it('writes segments one by one where the kernel refuses a join, and marks those that it refuses too', () => {
    pair.close();
    // Room for packets, not for a join.
    pair = new TunPair(1);
    const packets = train({ ...PLAIN, payload: pattern(10_000) }, 1000).map(packetOf);
    const vector = new PacketVector(packets.length);
    for (const packet of packets) vector.push(packet);
    const sent = pair.send(vector);
    const got = taken();
    expect(sent).to.be.greaterThan(0).and.lessThan(packets.length);
    expect(got.every(({ header }) => header.gsoType === VIRTIO.GSO_NONE)).to.equal(true);
    const kept = packets.filter((_, i) => vector.verdict[i] === KEEP);
    expect(got.map(({ packet }) => packet.toString('hex'))).to.deep.equal(
      kept.map((packet) => packet.toString('hex')),
    );
    expect(vector.verdict.filter((verdict) => verdict === REFUSED).length).to.equal(packets.length - sent);
    expect(pair.stats()).to.include({ sent, refused: packets.length - sent });
  });
});
