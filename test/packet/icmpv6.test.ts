import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import {
  encodeIcmpv6Error,
  ICMPV6_HEADER_BYTES,
  ICMPV6_MAX_QUOTE_BYTES,
  ICMPV6_TYPE,
  Icmpv6Header,
  parseIcmpv6,
  writeIcmpv6Checksum,
} from '../../src/packet/icmpv6.ts';
import { packetVectors, words } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new Icmpv6Header();

describe('icmpv6', () => {
  for (const { it: name, source, destination, hex, ...fields } of packetVectors.icmpv6) {
    const [from, to] = [words(source), words(destination)];
    const bytes = fromHex(hex);
    const parse = (message: Buffer, length = message.length) =>
      DROP_REASONS[parseIcmpv6(inSlab(message), 37, length, from, 0, to, 0, header)];

    it(`reads what scapy made: ${name}`, () => {
      expect(parse(bytes)).to.equal('none');
      expect(header).to.deep.include(fields);
    });

    it(`refuses a short message, a wrong byte and other addresses: ${name}`, () => {
      for (let length = 0; length < ICMPV6_HEADER_BYTES; length++)
        expect(parse(bytes, length)).to.equal('truncated');
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(7) ^ 1, 7);
      expect(parse(damaged)).to.equal('checksum');
      const stranger = words('2001:db8::102');
      expect(DROP_REASONS[parseIcmpv6(bytes, 0, bytes.length, stranger, 0, to, 0, header)]).to.equal(
        'checksum',
      );
    });

    it(`writes the same bytes as scapy: ${name}`, () => {
      const slab = inSlab(bytes);
      if (fields.hasQuote) {
        slab.fill(0xbb, 37, 37 + ICMPV6_HEADER_BYTES);
        const { type, code } = fields;
        const length = encodeIcmpv6Error(slab, 37, {
          type,
          code,
          parameter: type === ICMPV6_TYPE.PACKET_TOO_BIG ? 1400 : type === 4 ? 40 : 0,
          quoteBytes: bytes.length - ICMPV6_HEADER_BYTES,
          source: from,
          destination: to,
        });
        expect(length).to.equal(bytes.length);
      } else {
        slab.writeUInt16BE(0xbbbb, 39);
        writeIcmpv6Checksum(slab, 37, bytes.length, from, 0, to, 0);
      }
      expect(slab.subarray(37, 37 + bytes.length)).to.deep.equal(bytes);
    });
  }

  it('an error with the longest quote is as long as every link takes (RFC 4443 section 2.4)', () => {
    const slab = Buffer.alloc(ICMPV6_HEADER_BYTES + ICMPV6_MAX_QUOTE_BYTES);
    const [source, destination] = [words('2001:db8::1'), words('2001:db8::2')];
    const quoteBytes = ICMPV6_MAX_QUOTE_BYTES;
    expect(40 + encodeIcmpv6Error(slab, 0, { type: 1, quoteBytes, source, destination })).to.equal(1280);
  });

  it('an unknown error quotes too, an unknown informational message does not (RFC 4443 section 2.1)', () => {
    const [from, to] = [words('2001:db8::1'), words('2001:db8::2')];
    for (const [type, hasQuote] of [
      [100, true],
      [127, true],
      [128, false],
      [200, false],
      [0, false],
    ] as const) {
      const message = Buffer.alloc(16);
      message.writeUInt8(type, 0);
      writeIcmpv6Checksum(message, 0, 16, from, 0, to, 0);
      expect(parseIcmpv6(message, 0, 16, from, 0, to, 0, header)).to.equal(KEEP);
      expect(header.hasQuote, `${type}`).to.equal(hasQuote);
    }
  });
});
