import { expect } from 'chai';
import { addressOfBytes } from '../../src/packet/address.ts';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import {
  encodeIpv6,
  IPV6_DESTINATION_OFFSET,
  IPV6_SOURCE_OFFSET,
  Ipv6Header,
  parseIpv6,
} from '../../src/packet/ipv6.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new Ipv6Header();
const reasonOf = (bytes: Buffer, length = bytes.length) =>
  DROP_REASONS[parseIpv6(inSlab(bytes), 37, length, header)];

describe('ipv6', () => {
  for (const vector of headerVectors.ipv6) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      expect(parseIpv6(inSlab(bytes), 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
    });

    it(`refuses every truncation of: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex);
      for (let length = 0; length < bytes.length; length++)
        expect(reasonOf(bytes, length)).to.equal('truncated');
    });
  }

  it('writes the same bytes as scapy', () => {
    const bytes = fromHex(headerVectors.ipv6[0]?.hex as string);
    const slab = Buffer.alloc(64, 0xaa);
    encodeIpv6(slab, 3, {
      payloadBytes: 20,
      protocol: 6,
      source: addressOfBytes(bytes.subarray(IPV6_SOURCE_OFFSET, IPV6_SOURCE_OFFSET + 16)),
      destination: addressOfBytes(bytes.subarray(IPV6_DESTINATION_OFFSET, IPV6_DESTINATION_OFFSET + 16)),
      hopLimit: 61,
      trafficClass: 0x2e,
    });
    expect(slab.subarray(3, 43)).to.deep.equal(bytes.subarray(0, 40));
  });

  it('refuses a wrong version and extension headers without end', () => {
    const bytes = fromHex(headerVectors.ipv6[0]?.hex as string);
    bytes.writeUInt8(0x45, 0);
    expect(reasonOf(bytes)).to.equal('malformed');
    const chain = Buffer.alloc(40 + 8 * 20);
    chain.writeUInt8(0x60, 0);
    chain.writeUInt16BE(8 * 20, 4);
    chain.writeUInt8(60, 6);
    for (let at = 40; at < chain.length; at += 8) chain.writeUInt8(60, at);
    expect(reasonOf(chain)).to.equal('malformed');
  });

  it('refuses an extension header that is longer than the packet', () => {
    const bytes = Buffer.alloc(48);
    bytes.writeUInt8(0x60, 0);
    bytes.writeUInt16BE(8, 4);
    bytes.writeUInt8(0, 6);
    bytes.writeUInt8(6, 40);
    bytes.writeUInt8(1, 41);
    expect(reasonOf(bytes)).to.equal('truncated');
  });
});
