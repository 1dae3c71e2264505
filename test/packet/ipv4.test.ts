import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { parseIpv4Address } from '../../src/packet/address.ts';
import { encodeIpv4, hasValidIpv4Checksum, Ipv4Header, parseIpv4 } from '../../src/packet/ipv4.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new Ipv4Header();
const reasonOf = (bytes: Buffer, length = bytes.length) =>
  DROP_REASONS[parseIpv4(inSlab(bytes), 37, length, header)];
const sample = () => fromHex(headerVectors.ipv4[0]?.hex as string);

describe('ipv4', () => {
  for (const vector of headerVectors.ipv4) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      expect(parseIpv4(inSlab(bytes), 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
      expect(header.source).to.equal(parseIpv4Address(vector['source'] as string));
      expect(header.destination).to.equal(parseIpv4Address(vector['destination'] as string));
      expect(hasValidIpv4Checksum(inSlab(bytes), 37, header.headerBytes)).to.equal(true);
    });

    it(`refuses every truncation of: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      for (let length = 0; length < bytes.length; length++)
        expect(reasonOf(bytes, length)).to.equal('truncated');
    });
  }

  it('writes the same bytes as scapy', () => {
    const slab = Buffer.alloc(64, 0xaa);
    const written = encodeIpv4(slab, 5, {
      totalBytes: 31,
      protocol: 17,
      source: 0x0a010101,
      destination: 0xcb00710a,
      ttl: 57,
      trafficClass: 0xb8,
      identification: 0x1234,
    });
    expect(written).to.equal(20);
    expect(slab.subarray(5, 25)).to.deep.equal(sample().subarray(0, 20));
    expect([slab[4], slab[25]]).to.deep.equal([0xaa, 0xaa]);
  });

  it('tolerates padding after the total length', () => {
    const bytes = Buffer.concat([sample(), Buffer.alloc(29)]);
    expect(reasonOf(bytes)).to.equal('none');
    expect(header.totalBytes).to.equal(31);
  });

  it('refuses a wrong version, a header length under 20 and a total length under the header length', () => {
    const wrong = (change: (bytes: Buffer) => void) => {
      const bytes = sample();
      change(bytes);
      return reasonOf(bytes);
    };
    expect(wrong((bytes) => bytes.writeUInt8(0x65, 0))).to.equal('malformed');
    expect(wrong((bytes) => bytes.writeUInt8(0x44, 0))).to.equal('malformed');
    expect(wrong((bytes) => bytes.writeUInt16BE(19, 2))).to.equal('malformed');
    expect(wrong((bytes) => bytes.writeUInt8(0x48, 0))).to.equal('malformed'); // 32 bytes of header in 31
  });

  it('sees a flipped bit in the checksum', () => {
    const bytes = sample();
    bytes.writeUInt8(0x39 ^ 1, 8);
    expect(hasValidIpv4Checksum(bytes, 0, 20)).to.equal(false);
  });
});
