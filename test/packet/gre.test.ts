import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { encodeGreKeyed, GreHeader, parseGre } from '../../src/packet/gre.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new GreHeader();
const reasonOf = (bytes: Buffer, length = bytes.length) =>
  DROP_REASONS[parseGre(inSlab(bytes), 37, length, header)];

describe('gre', () => {
  for (const vector of headerVectors.gre) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      expect(parseGre(inSlab(bytes), 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
    });

    it(`refuses every truncated header of: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      const headerBytes = vector['headerBytes'] as number;
      for (let length = 0; length < headerBytes; length++)
        expect(reasonOf(bytes, length)).to.equal('truncated');
    });
  }

  it('writes the keyed header as scapy does', () => {
    const slab = Buffer.alloc(16, 0xaa);
    expect(encodeGreKeyed(slab, 2, 0x0800, 0xcafebabe)).to.equal(8);
    expect(slab.subarray(2, 10)).to.deep.equal(fromHex(headerVectors.gre[0]?.hex as string).subarray(0, 8));
  });

  it('refuses the bits of RFC 1701 and other versions (RFC 2784 section 2.2)', () => {
    for (let bit = 0; bit < 16; bit++) {
      const isDefined = [15, 13, 12].includes(bit);
      const bytes = Buffer.alloc(64);
      bytes.writeUInt16BE(1 << bit, 0);
      expect(reasonOf(bytes), `bit ${bit}`).to.equal(
        isDefined ? (bit === 15 ? 'checksum' : 'none') : 'malformed',
      );
    }
  });

  it('verifies a checksum that is there', () => {
    const bytes = fromHex(headerVectors.gre[2]?.hex as string);
    bytes.writeUInt8(bytes.readUInt8(18) ^ 1, 18);
    expect(reasonOf(bytes)).to.equal('checksum');
  });
});
