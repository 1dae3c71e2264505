import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type CapturedPacket,
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  sectionHeader,
} from '../../src/packet/pcapng.ts';

interface Block {
  readonly type: number;
  readonly body: Buffer;
}

/** The blocks of a file, as the draft says a reader finds them: both lengths agree, and are multiples of four. */
function blocksOf(file: Buffer): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    expect(length % 4).to.equal(0);
    expect(file.readUInt32LE(at + length - 4)).to.equal(length);
    blocks.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

function optionsOf(body: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at < body.length; ) {
    const [code, length] = [body.readUInt16LE(at), body.readUInt16LE(at + 2)];
    if (code === 0) expect(at + 4).to.equal(body.length);
    else options.set(code, body.subarray(at + 4, at + 4 + length));
    at += 4 + ((length + 3) & ~3);
  }
  return options;
}

const packet = fc.record({
  interface: fc.nat(7),
  time: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  bytes: fc.uint8Array({ maxLength: 200 }),
  wholeBytes: fc.nat(65_535),
  comment: fc.option(fc.string({ unit: 'grapheme', maxLength: 40 }), { nil: undefined }),
  lost: fc.option(fc.integer({ min: 1, max: 1e6 }), { nil: undefined }),
}) satisfies fc.Arbitrary<CapturedPacket>;

describe('pcapng', () => {
  it('has every packet as it was given, with its time, comment and losses', () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 8 }), (packets) => {
        const blocks = blocksOf(Buffer.concat(packets.map((each) => enhancedPacket(each))));
        expect(blocks.length).to.equal(packets.length);
        for (const [i, { type, body }] of blocks.entries()) {
          const given = packets[i] as CapturedPacket;
          const kept = body.readUInt32LE(12);
          const time = (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8));
          expect([type, body.readUInt32LE(0), time, body.readUInt32LE(16)]).to.deep.equal([
            6,
            given.interface,
            given.time,
            given.wholeBytes,
          ]);
          expect(body.subarray(20, 20 + kept).equals(given.bytes)).to.equal(true);
          const options = optionsOf(body.subarray(20 + ((kept + 3) & ~3)));
          expect(options.get(1)?.toString('utf8')).to.equal(given.comment);
          expect(options.get(4)?.readBigUInt64LE()).to.equal(
            given.lost === undefined ? undefined : BigInt(given.lost),
          );
        }
      }),
    );
  });

  it('begins with byte order, version and an unknown length', () => {
    const [{ type, body }] = blocksOf(sectionHeader('dvipa 1.0')) as [Block];
    expect(type).to.equal(0x0a0d0d0a);
    expect(body.subarray(0, 16).toString('hex')).to.equal('4d3c2b1a01000000ffffffffffffffff');
    expect(optionsOf(body.subarray(16)).get(4)?.toString()).to.equal('dvipa 1.0');
  });

  it('describes an interface by name, link type RAW, snap length, and nanoseconds', () => {
    const [{ type, body }] = blocksOf(interfaceDescription('route/outside-in', 96)) as [Block];
    expect([type, body.readUInt16LE(0), body.readUInt32LE(4)]).to.deep.equal([1, 101, 96]);
    const options = optionsOf(body.subarray(8));
    expect([options.get(2)?.toString(), options.get(9)?.toString('hex')]).to.deep.equal([
      'route/outside-in',
      '09',
    ]);
  });

  it('ends with what an interface received and lost', () => {
    const [{ type, body }] = blocksOf(interfaceStatistics(2, 5n, { received: 7, lost: 3 })) as [Block];
    expect([type, body.readUInt32LE(0), body.readUInt32LE(8)]).to.deep.equal([5, 2, 5]);
    const options = optionsOf(body.subarray(12));
    expect([options.get(4)?.readBigUInt64LE(), options.get(5)?.readBigUInt64LE()]).to.deep.equal([7n, 3n]);
  });
});
