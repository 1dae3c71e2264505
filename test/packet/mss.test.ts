import { expect } from 'chai';
import * as fc from 'fast-check';
import { clampMss } from '../../src/packet/mss.ts';
import { hasValidTcpChecksum, writeTcpChecksum } from '../../src/packet/tcp.ts';
import { packetVectors, words } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const [CLIENT, SERVER] = [words('192.0.2.101'), words('192.0.2.10')];
const SYN_HEX = 'c738005000000009000000000002200000000000';

/** A SYN with these options, padded with zeros, and a right checksum. */
function syn(options: string, flags = 0x02): Buffer {
  const bytes = fromHex(options);
  const segment = Buffer.concat([fromHex(SYN_HEX), bytes, Buffer.alloc(-bytes.length & 3)]);
  segment.writeUInt8((segment.length / 4) << 4, 12);
  segment.writeUInt8(flags, 13);
  writeTcpChecksum(segment, 0, segment.length, CLIENT, 0, SERVER, 0);
  return segment;
}

function clamp(segment: Buffer, maximum: number): { isChanged: boolean; segment: Buffer } {
  const slab = inSlab(segment);
  const before = Buffer.from(slab);
  const isChanged = clampMss(slab, 37, segment.length, maximum);
  const after = Buffer.from(slab.subarray(37, 37 + segment.length));
  segment.copy(slab, 37);
  expect(slab, 'around the segment').to.deep.equal(before);
  return { isChanged, segment: after };
}

describe('mss', () => {
  for (const { it: name, maximum, before, after } of packetVectors.mss) {
    it(`lowers the option as if scapy had made the segment with it: ${name}`, () => {
      expect(clamp(fromHex(before), maximum)).to.deep.equal({ isChanged: true, segment: fromHex(after) });
    });

    it(`never raises it: ${name}`, () => {
      for (const larger of [0xffff, 9000])
        expect(clamp(fromHex(before), larger)).to.deep.equal({ isChanged: false, segment: fromHex(before) });
    });
  }

  it('touches SYN and SYN-ACK only, and no segment without the option', () => {
    const option = '020405b4';
    expect(clamp(syn(option, 0x12), 1300).isChanged).to.equal(true);
    for (const flags of [0x10, 0x04, 0x01, 0x18])
      expect(clamp(syn(option, flags), 1300).isChanged).to.equal(false);
    for (const options of ['', '01010402', '0303070101080a0000000100000000'])
      expect(clamp(syn(options), 1300).isChanged).to.equal(false);
  });

  it('options that contradict themselves end the walk: length 0 or 1, beyond the header, MSS of a wrong length', () => {
    for (const options of [
      '0300020405b4',
      '0301020405b4',
      '0328020405b4',
      '020305020405',
      '02',
      '0104',
      '00020405b4',
    ])
      expect(clamp(syn(options), 1300).isChanged, options).to.equal(false);
    expect(clamp(syn('020405b4 0300'), 1300).isChanged).to.equal(true);
  });

  it('leaves a segment that is cut off, or whose header is, as it is', () => {
    const segment = syn('020405b4');
    for (let length = 0; length < segment.length; length++)
      expect(clampMss(inSlab(segment), 37, length, 1300), `${length}`).to.equal(false);
    const short = syn('020405b4');
    short.writeUInt8(0x40, 12);
    expect(clamp(short, 1300).isChanged).to.equal(false);
  });

  it('keeps a right checksum right and a wrong one wrong, whatever the options (RFC 1624)', () => {
    const option = fc.oneof(
      fc.constantFrom('01', '020405b4', '0204ffff', '02040000', '0402', '030307', '0300', '00'),
      fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    fc.assert(
      fc.property(
        fc.array(option, { maxLength: 12 }),
        fc.nat(0xffff),
        fc.boolean(),
        (options, maximum, isRight) => {
          const segment = syn(options.join('').slice(0, 80));
          if (!isRight) segment.writeUInt16BE((segment.readUInt16BE(16) + 1) % 0xffff, 16);
          const made = clamp(segment, maximum).segment;
          expect(hasValidTcpChecksum(made, 0, made.length, CLIENT, 0, SERVER, 0)).to.equal(isRight);
          expect(made.length).to.equal(segment.length);
        },
      ),
      { seed: 1624, numRuns: 2000 },
    );
  });
});
