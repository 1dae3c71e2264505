import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { packetIo } from '../../src/io/native.ts';
import { foldChecksum, pseudoHeaderSum4, pseudoHeaderSum6 } from '../../src/packet/checksum.ts';
import { encodeIpv4, hasValidIpv4Checksum, Ipv4Header, parseIpv4 } from '../../src/packet/ipv4.ts';
import { Ipv6Header, parseIpv6 } from '../../src/packet/ipv6.ts';
import { encodeUdp, parseUdp, UdpHeader } from '../../src/packet/udp.ts';

const UDP = 17;
const SLOT = 2048;
const SLOTS = 200;
const GUARDED = Buffer.alloc(SLOTS * SLOT, 0xa5);

interface Split {
  /** -1: it was none. */
  readonly count: number;
  readonly datagrams: Buffer[];
}

/** Takes a super-packet apart into slots with guards between them, which must stay. */
function split(packet: Uint8Array, size: number, room = SLOT - 64): Split {
  const slab = Buffer.from(GUARDED);
  const offset = Uint32Array.from({ length: SLOTS }, (_, i) => i * SLOT + 32);
  const length = new Uint32Array(SLOTS);
  const count = packetIo().segments(packet, size, slab, offset, length, room, 0, SLOTS);
  const used = Array.from({ length: Math.max(count, 0) }, (_, i) => {
    const at = offset[i] as number;
    expect(length[i]).to.be.at.most(room);
    return slab.subarray(at, at + (length[i] as number));
  });
  const datagrams = used.map((datagram) => Buffer.from(datagram));
  for (const datagram of used) datagram.fill(0xa5);
  expect(slab.equals(GUARDED)).to.equal(true);
  return { count, datagrams };
}

/** An IPv4 or IPv6 datagram, without the help of the code under test. */
function datagram(
  family: 4 | 6,
  id: number,
  payload: Uint8Array,
  checksum: number,
  extension: Uint8Array,
): Buffer {
  const headerBytes = family === 4 ? 20 : 40 + extension.length;
  const packet = Buffer.alloc(headerBytes + 8 + payload.length);
  if (family === 4) {
    encodeIpv4(packet, 0, {
      totalBytes: packet.length,
      protocol: UDP,
      source: 0x0a000001,
      destination: 0xc000020a,
      identification: id & 0xffff,
      trafficClass: 0x2e,
    });
  } else {
    packet.writeUInt32BE(0x6ab12345, 0);
    packet.writeUInt16BE(packet.length - 40, 4);
    packet[6] = extension.length > 0 ? 60 : UDP;
    packet[7] = 61;
    for (let i = 8; i < 40; i++) packet[i] = i * 7;
    packet.set(extension, 40);
  }
  encodeUdp(packet, headerBytes, 4500, 4500, payload.length);
  packet.writeUInt16BE(checksum, headerBytes + 6);
  packet.set(payload, headerBytes + 8);
  return packet;
}

/** What a sender writes that leaves the checksum to its network card: the sum of the pseudo header. */
function unfinished(family: 4 | 6, udpBytes: number): number {
  const addresses = datagram(6, 0, new Uint8Array(0), 0, new Uint8Array(0));
  const sum =
    family === 4
      ? pseudoHeaderSum4(0x0a000001, 0xc000020a, UDP, udpBytes)
      : pseudoHeaderSum6(addresses, 8, UDP, udpBytes);
  return ~foldChecksum(sum) & 0xffff;
}

const shapes = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  id: fc.integer({ min: 0, max: 0xffff }),
  size: fc.integer({ min: 1, max: 1500 }),
  count: fc.integer({ min: 1, max: 40 }),
  last: fc.integer({ min: 1, max: 1500 }),
  hasChecksum: fc.boolean(),
  extensionBytes: fc.constantFrom(0, 8, 24),
  padding: fc.integer({ min: 0, max: 20 }),
});

describe('segments of a UDP super-packet', () => {
  it('segments are the datagrams that the peer sent, each with lengths of its own, whatever their number and size', () => {
    fc.assert(
      fc.property(shapes, ({ family, id, size, count, last, hasChecksum, extensionBytes, padding }) => {
        const sizes = [...Array.from({ length: count - 1 }, () => size), Math.min(last, size)];
        const payload = Buffer.alloc(
          sizes.reduce((sum, bytes) => sum + bytes, 0),
          0,
        );
        for (const i of payload.keys()) payload[i] = (i * 31 + (i >> 8)) & 0xff;
        const extension = Buffer.alloc(extensionBytes);
        if (extensionBytes > 0) extension.set([UDP, extensionBytes / 8 - 1]);
        fc.pre(payload.length < 65_000);
        const packet = Buffer.concat([
          datagram(family, id, payload, hasChecksum ? 0x1234 : 0, extension),
          Buffer.alloc(padding),
        ]);
        let at = 0;
        const expected = sizes.map((bytes, i) => {
          const part = payload.subarray(at, (at += bytes));
          const checksum = hasChecksum ? unfinished(family, 8 + bytes) : 0;
          return datagram(family, id + i, part, checksum, extension).toString('hex');
        });
        expect(split(packet, size).datagrams.map((each) => each.toString('hex'))).to.deep.equal(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('segments of any bytes are none, or whole datagrams that every later step can read', () => {
    const [ipv4, ipv6, udp] = [new Ipv4Header(), new Ipv6Header(), new UdpHeader()];
    const base = fc
      .tuple(fc.constantFrom(4 as const, 6 as const), fc.integer({ min: 1, max: 1200 }), fc.boolean())
      .map(([family, bytes, isExtended]) =>
        datagram(
          family,
          9,
          Buffer.alloc(bytes, 0x42),
          7,
          Buffer.from(isExtended ? [UDP, 0, 0, 0, 0, 0, 0, 0] : []),
        ),
      );
    const changes = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 });
    const sizes = fc.oneof(fc.integer({ min: 0, max: 1300 }), fc.constantFrom(0, 1, 65_535));
    let apart = 0;
    fc.assert(
      fc.property(base, changes, sizes, fc.nat(1300), (packet, edits, size, kept) => {
        for (const [at, value] of edits) if (at < packet.length) packet[at] = value;
        const cut = kept < 40 ? packet.subarray(0, kept) : packet;
        const room = 8 + (kept % 1500);
        const { count, datagrams } = split(cut, size, room);
        if (count < 0) return;
        apart++;
        for (const each of datagrams) {
          const isIpv4 = (each[0] as number) >> 4 === 4;
          const header = isIpv4 ? ipv4 : ipv6;
          expect(
            isIpv4 ? parseIpv4(each, 0, each.length, ipv4) : parseIpv6(each, 0, each.length, ipv6),
          ).to.equal(KEEP);
          expect(header.totalBytes).to.equal(each.length);
          expect(header.isFragment).to.equal(false);
          if (isIpv4) expect(hasValidIpv4Checksum(each, 0, header.headerBytes)).to.equal(true);
          expect(parseUdp(each, header.headerBytes, each.length - header.headerBytes, udp)).to.equal(KEEP);
          expect(udp.totalBytes).to.equal(each.length - header.headerBytes);
          expect(udp.payloadBytes).to.be.within(1, size);
        }
      }),
      { numRuns: 1000 },
    );
    expect(apart).to.be.greaterThan(100);
  });

  it('segments are refused of what is no super-packet: fragments, other protocols, lengths that contradict each other', () => {
    const good = () => datagram(4, 1, Buffer.alloc(300, 1), 0, Buffer.alloc(0));
    const changed = (change: (packet: Buffer) => unknown) => {
      const packet = good();
      change(packet);
      return split(packet, 100).count;
    };
    expect(changed(() => {})).to.equal(3);
    expect(split(good(), 0).count, 'no size').to.equal(-1);
    expect(split(good().subarray(0, 327), 100).count, 'cut short').to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt16BE(0x2000, 6)),
      'first fragment',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt16BE(0x0001, 6)),
      'later fragment',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt8(6, 9)),
      'TCP',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt8(0x44, 0)),
      'IHL',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt8(0x25, 0)),
      'version',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt16BE(307, 24)),
      'UDP length',
    ).to.equal(-1);
    expect(
      changed((packet) => packet.writeUInt16BE(28, 2)),
      'no payload',
    ).to.equal(-1);
  });

  it('segments that are longer than a slot are passed over, and shorter ones are not', () => {
    const packet = datagram(4, 1, Buffer.alloc(250, 1), 0, Buffer.alloc(0));
    expect(split(packet, 100, 127).datagrams.map(({ length }) => length)).to.deep.equal([78]);
    expect(split(packet, 100, 128).datagrams.map(({ length }) => length)).to.deep.equal([128, 128, 78]);
  });
});
