import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { finishChecksum } from '../../src/dataplane/unfinished-checksum.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { PacketVector, SLOT_BYTES } from '../../src/dataplane/vector.ts';
import { foldChecksum, pseudoHeaderSum } from '../../src/packet/checksum.ts';
import { hasValidIpv4Checksum } from '../../src/packet/ipv4.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { cutTcp } from '../../src/packet/tcp-segmentation.ts';
import { hasValidUdpChecksum } from '../../src/packet/udp.ts';
import { addr } from '../support/inner-packets.ts';
import { ipPacket } from '../support/ip-packets.ts';
import { pattern } from '../support/packet-vectors.ts';
import {
  anySuper,
  packetOf,
  PLAIN,
  type Segment,
  superHeader,
  unfinished,
  upperOf,
} from '../support/tun-pair/segments.ts';
import { NO_OFFLOAD, TunPair, VIRTIO, type VirtioHeader } from '../support/tun-pair/tun-pair.ts';

/** As the TypeScript cuts it. */
function piecesOf(segment: Segment, gsoSize: number): Buffer[] {
  const packet = packetOf(segment);
  const mtu = superHeader(segment, gsoSize).headerBytes + gsoSize;
  const pieces: Buffer[] = [];
  const verdict = cutTcp(
    packet,
    0,
    packet.length,
    upperOf(segment),
    mtu,
    Buffer.alloc(mtu),
    (slab, at, length) => pieces.push(Buffer.from(slab.subarray(at, at + length))),
  );
  expect(verdict).to.equal(KEEP);
  return pieces;
}

/** Everything there is, through vectors of `capacity`. */
function drain(pair: TunPair, capacity: number): Buffer[] {
  const vector = new PacketVector(capacity);
  const got: Buffer[] = [];
  for (;;) {
    vector.reset();
    if (pair.receive(vector) === 0) return got;
    for (let i = 0; i < vector.count; i++) got.push(Buffer.from(vector.packet(i)));
  }
}

describe('TUN with offloads, out of the kernel', () => {
  let pair: TunPair;
  beforeEach(() => {
    pair = new TunPair();
  });
  afterEach(() => pair.close());

  it('cuts large TCP segments as the TypeScript does, through vectors of any size, and loses no piece', () => {
    const gsoSize = fc.integer({ min: 1, max: 3000 });
    const capacity = fc.integer({ min: 1, max: 70 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anySuper(20_000), gsoSize), { minLength: 1, maxLength: 3 }),
        capacity,
        (supers, capacity) => {
          const wanted: string[] = [];
          for (const [segment, least] of supers) {
            // Not so many pieces that the test takes long.
            const size = Math.max(least, Math.ceil(segment.payload.length / 200));
            pair.give(superHeader(segment, size), unfinished(segment));
            // Between them what nobody has to cut.
            pair.give(NO_OFFLOAD, packetOf(PLAIN));
            wanted.push(
              ...[...piecesOf(segment, size), packetOf(PLAIN)].map((piece) => piece.toString('hex')),
            );
          }
          expect(drain(pair, capacity).map((piece) => piece.toString('hex'))).to.deep.equal(wanted);
        },
      ),
      { numRuns: 60 },
    );
    expect(pair.stats()).to.include({ tooLong: 0, errors: 0 });
  });

  it('cuts a segment of 64 KB', () => {
    const segment = { ...PLAIN, payload: pattern(65_535 - 20 - 32) };
    pair.give(superHeader(segment, 1308), unfinished(segment));
    expect(Buffer.concat(drain(pair, 64)).equals(Buffer.concat(piecesOf(segment, 1308)))).to.equal(true);
  });

  it('calls again while pieces wait, although the kernel has nothing new, and rests then', async () => {
    const segment = { ...PLAIN, payload: pattern(5000) };
    pair.give(superHeader(segment, 100), unfinished(segment));
    const vector = new PacketVector(8);
    const filled: number[] = [];
    pair.onReadable(() => {
      vector.reset();
      filled.push(pair.receive(vector));
    });
    await sleep(50);
    expect(filled.slice(0, 7)).to.deep.equal([8, 8, 8, 8, 8, 8, 2]);
    expect(filled.length).to.be.at.most(8);
  });

  it('has pieces for whoever watches only after the first of them', async () => {
    const segment = { ...PLAIN, payload: pattern(500) };
    pair.give(superHeader(segment, 100), unfinished(segment));
    const vector = new PacketVector(3);
    expect(pair.receive(vector)).to.equal(3);
    await new Promise<void>((resolve) => pair.onReadable(resolve));
    vector.reset();
    expect(pair.receive(vector)).to.equal(2);
  });

  it('gives up the rest of a segment in a call whose slots are smaller than those of the call before', () => {
    const segment = { ...PLAIN, payload: pattern(3000) };
    pair.give(superHeader(segment, 1000), unfinished(segment));
    pair.give(NO_OFFLOAD, packetOf({ ...PLAIN, payload: pattern(40) }));
    expect(pair.receive(new PacketVector(2))).to.equal(2);
    const narrow = new PacketVector(4, SLOT_BYTES - new PacketVector(1).roomBytes + 200);
    expect(pair.receive(narrow)).to.equal(1);
    expect(narrow.length[0]).to.equal(92);
    expect(pair.stats()).to.include({ tooLong: 1, errors: 0 });
  });

  it('finishes checksums that the kernel left unfinished, as the TypeScript does', () => {
    fc.assert(
      fc.property(anySuper(1400), (segment) => {
        const packet = unfinished(segment);
        pair.give({ ...superHeader(segment, 0), gsoType: VIRTIO.GSO_NONE }, packet);
        const vector = new PacketVector(1);
        vector.push(packet);
        expect(readInnerHeaders(vector, 0)).to.equal(KEEP);
        expect(finishChecksum(vector, 0)).to.equal(true);
        const [got] = drain(pair, 4);
        expect(got?.toString('hex')).to.equal(vector.packet(0).toString('hex'));
      }),
    );
  });

  it('cuts UDP of one size into datagrams with lengths and checksums of their own, in either family', () => {
    const families = [
      ['10.1.1.1', '203.0.113.10'],
      ['2001:db8:a::1', '2001:db8:113::10'],
    ] as const;
    const bytes = fc.integer({ min: 1, max: 9000 });
    fc.assert(
      fc.property(
        fc.constantFrom(...families),
        bytes,
        fc.integer({ min: 60, max: 1400 }),
        ([source, destination], bytes, size) => {
          const payload = Buffer.concat([Buffer.from('1234003500000000', 'hex'), pattern(bytes)]);
          payload.writeUInt16BE(payload.length, 4);
          const addresses = [addr(source), 0, addr(destination), 0] as const;
          const packet = ipPacket({ source, destination, protocol: 17, payload });
          const upper = packet.length - payload.length;
          packet.writeUInt16BE(pseudoField(source, destination, payload.length), upper + 6);
          const headerBytes = upper + 8;
          const header = {
            flags: VIRTIO.NEEDS_CHECKSUM,
            gsoType: VIRTIO.GSO_UDP,
            headerBytes,
            gsoSize: size,
          };
          pair.give({ ...header, checksumStart: upper, checksumOffset: 6 }, packet);
          const pieces = drain(pair, 5);
          expect(
            Buffer.concat(pieces.map((piece) => piece.subarray(headerBytes))).equals(pattern(bytes)),
          ).to.equal(true);
          for (const [n, piece] of pieces.entries()) {
            const payloadBytes = piece.length - headerBytes;
            expect(payloadBytes).to.equal(n < pieces.length - 1 ? size : bytes - n * size);
            expect(piece.readUInt16BE(upper + 4)).to.equal(payloadBytes + 8);
            expect(piece.readUInt16BE(upper + 6)).to.not.equal(0);
            expect(hasValidUdpChecksum(piece, upper, payloadBytes + 8, ...addresses)).to.equal(true);
            if (upper === 20) expect(hasValidIpv4Checksum(piece, 0, 20)).to.equal(true);
            expect(upper === 20 ? piece.readUInt16BE(2) : piece.readUInt16BE(4) + 40).to.equal(piece.length);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('passes over what is longer than a slot and what makes no sense, counts both, and goes on', () => {
    const vector = new PacketVector(4);
    const header = superHeader(PLAIN, 100);
    const packet = unfinished(PLAIN);
    const nonsense: [VirtioHeader, Buffer][] = [
      [{ ...header, flags: 0 }, packet],
      [{ ...header, gsoSize: 0 }, packet],
      [{ ...header, gsoType: VIRTIO.GSO_TCP6 }, packet],
      [{ ...header, gsoType: 77 }, packet],
      [{ ...header, checksumStart: 21 }, packet],
      [{ ...header, checksumOffset: 6 }, packet],
      [header, packet.subarray(0, 39)],
      [header, packet.subarray(0, 51)],
      [{ ...header, gsoType: VIRTIO.GSO_NONE, checksumStart: packet.length - 17 }, packet],
      [{ ...header, gsoType: VIRTIO.GSO_NONE, checksumStart: 0xffff, checksumOffset: 0xffff }, packet],
    ];
    for (const [header, packet] of nonsense) pair.give(header, packet);
    pair.giveBytes(Buffer.alloc(10));
    const long = { ...PLAIN, payload: pattern(vector.roomBytes) };
    pair.give(superHeader(long, vector.roomBytes - 51), unfinished(long));
    pair.give(NO_OFFLOAD, packetOf(long));
    pair.give(NO_OFFLOAD, packetOf(PLAIN));
    const got: Buffer[] = [];
    // A read without a packet ends a call.
    for (let call = 0; call < 2; call++) got.push(...drain(pair, 4));
    expect(got.map((piece) => piece.toString('hex'))).to.deep.equal([packetOf(PLAIN).toString('hex')]);
    expect(pair.stats()).to.include({ received: 1, errors: nonsense.length + 1, tooLong: 2 });
  });

  it('takes whatever headers and bytes come, and puts nothing longer than its room into a slot', () => {
    const word = fc.oneof(fc.nat({ max: 80 }), fc.nat({ max: 0xffff }));
    const header = fc.record({
      flags: fc.constantFrom(0, 1, 2, 255),
      gsoType: fc.constantFrom(0, 1, 4, 5, 0x81, 3, 255),
      headerBytes: word,
      gsoSize: word,
      checksumStart: fc.oneof(fc.constantFrom(20, 24, 40), word),
      checksumOffset: fc.oneof(fc.constantFrom(6, 16), word),
    });
    const bytes = fc
      .tuple(
        fc.constantFrom(0x45, 0x46, 0x60, 0x00),
        fc.uint8Array({ minLength: 0, maxLength: 300 }),
        fc.nat({ max: 6000 }),
      )
      .map(([first, random, more]) => Buffer.concat([Buffer.of(first), random, Buffer.alloc(more, 0x55)]));
    fc.assert(
      fc.property(header, bytes, (header, bytes) => {
        pair.give(header, bytes);
        for (let call = 0; call < 2; call++) {
          for (const piece of drain(pair, 16))
            expect(piece.length).to.be.at.most(new PacketVector(1).roomBytes);
        }
      }),
      { numRuns: 300 },
    );
    const { received, errors } = pair.stats();
    expect(received).to.be.greaterThan(0);
    expect(errors).to.be.greaterThan(0);
  });
});

function pseudoField(source: string, destination: string, bytes: number): number {
  return (
    ~foldChecksum(pseudoHeaderSum(addr(source), 0, addr(destination), 0, IP_PROTOCOL.UDP, bytes)) & 0xffff
  );
}
