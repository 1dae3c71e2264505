import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import {
  encodeFragmentationNeeded,
  ICMP_HEADER_BYTES,
  ICMP_MAX_QUOTE_BYTES,
  IcmpHeader,
  parseIcmp,
} from '../../src/packet/icmp.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new IcmpHeader();

describe('icmp', () => {
  for (const vector of headerVectors.icmp) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      expect(parseIcmp(inSlab(bytes), 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
    });
  }

  it('writes "fragmentation needed" as scapy does (RFC 1191)', () => {
    const bytes = fromHex(headerVectors.icmp[1]?.hex as string);
    const slab = inSlab(Buffer.concat([Buffer.alloc(ICMP_HEADER_BYTES, 0xbb), bytes.subarray(8)]));
    expect(encodeFragmentationNeeded(slab, 37, 1400, bytes.length - 8)).to.equal(bytes.length);
    expect(slab.subarray(37, 37 + bytes.length)).to.deep.equal(bytes);
  });

  it('an error with the longest quote is as long as every host takes (RFC 1812 section 4.3.2.3)', () => {
    const slab = Buffer.alloc(ICMP_HEADER_BYTES + ICMP_MAX_QUOTE_BYTES);
    expect(20 + encodeFragmentationNeeded(slab, 0, 1400, ICMP_MAX_QUOTE_BYTES)).to.equal(576);
  });

  it('refuses a short message and a wrong checksum', () => {
    const bytes = fromHex(headerVectors.icmp[0]?.hex as string);
    for (let length = 0; length < 8; length++)
      expect(DROP_REASONS[parseIcmp(inSlab(bytes), 37, length, header)]).to.equal('truncated');
    bytes.writeUInt8(9, 0);
    expect(DROP_REASONS[parseIcmp(inSlab(bytes), 37, bytes.length, header)]).to.equal('checksum');
  });
});
