import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { encodeGreKeyed, encodeGreSequenced, GreHeader, parseGre } from '../../src/packet/gre.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new GreHeader();
const reasonOf = (bytes: Buffer, length = bytes.length) =>
  DROP_REASONS[parseGre(inSlab(bytes), 37, length, header)];
const vectorOf = (it: string) => fromHex(headerVectors.gre.find((vector) => vector.it === it)?.hex as string);

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
    expect(slab.subarray(2, 10)).to.deep.equal(vectorOf('keyed').subarray(0, 8));
  });

  it('writes the keyed and numbered header as scapy does (RFC 2890)', () => {
    const slab = Buffer.alloc(16, 0xaa);
    expect(encodeGreSequenced(slab, 2, 0x0800, 7, 0xfffffffe)).to.equal(12);
    expect(slab.subarray(2, 14)).to.deep.equal(vectorOf('keyed and numbered').subarray(0, 12));
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
    const bytes = vectorOf('checksum, key and sequence number');
    bytes.writeUInt8(bytes.readUInt8(18) ^ 1, 18);
    expect(reasonOf(bytes)).to.equal('checksum');
  });
});
