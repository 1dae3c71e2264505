import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { parseQuote, QuotedPacket } from '../../src/packet/quoted.ts';
import { packetVectors } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const quoted = new QuotedPacket();
const reasonOf = (bytes: Buffer, length = bytes.length) =>
  DROP_REASONS[parseQuote(inSlab(bytes), 37, length, quoted)];

describe('quoted packets', () => {
  for (const { it: name, hex, source, destination, ...fields } of packetVectors.quotes) {
    const packet = fromHex(hex);

    it(`reads ${name}, whole and cut off behind 8 bytes of the upper header`, () => {
      for (const length of [packet.length, fields.upperAt + 8]) {
        expect(parseQuote(inSlab(packet), 37, length, quoted)).to.equal(KEEP);
        expect(quoted).to.deep.include({ isLaterFragment: false, ...fields });
        expect([formatAddress(quoted.source), formatAddress(quoted.destination)]).to.deep.equal([
          source,
          destination,
        ]);
        expect([quoted.totalBytes, quoted.upperBytes]).to.deep.equal([
          packet.length,
          length - fields.upperAt,
        ]);
      }
    });

    it(`says truncated of ${name} while headers are missing`, () => {
      const needed = fields.upperAt + (fields.sourcePort === 0 ? 0 : 8);
      for (let length = 0; length < needed; length++)
        expect(reasonOf(packet, length), `${length}`).to.equal('truncated');
      expect(reasonOf(packet, needed)).to.equal('none');
    });
  }

  it('finds SPI and number of native ESP where the upper header stands', () => {
    const packet = fromHex(packetVectors.quotes.find(({ it }) => it.startsWith('native ESP'))?.hex as string);
    expect(reasonOf(packet, 28)).to.equal('none');
    expect(packet.readUInt32BE(quoted.upperAt)).to.equal(0xc0ffee01);
    expect(quoted.upperBytes).to.equal(8);
  });

  it('does not take what stands behind the quoted packet for a part of it (RFC 4884)', () => {
    const packet = fromHex(packetVectors.quotes[1]?.hex as string);
    expect(reasonOf(Buffer.concat([packet, Buffer.alloc(64, 0xee)]))).to.equal('none');
    expect(quoted.upperBytes).to.equal(packet.length - quoted.upperAt);
  });

  it('refuses what is no IP packet, an IPv4-mapped address in IPv6, and headers without end', () => {
    const packet = fromHex(packetVectors.quotes[0]?.hex as string);
    for (const first of [0x55, 0x44, 0x00]) {
      packet.writeUInt8(first, 0);
      expect(reasonOf(packet)).to.equal('malformed');
    }
    const six = fromHex(packetVectors.quotes[4]?.hex as string);
    fromHex('00000000000000000000ffffc0000265').copy(six, 24);
    expect(reasonOf(six)).to.equal('malformed');
    const chain = Buffer.alloc(40 + 8 * 20);
    chain.writeUInt8(0x60, 0);
    chain.writeUInt16BE(8 * 20, 4);
    chain.writeUInt8(60, 6);
    for (let at = 40; at < chain.length; at += 8) chain.writeUInt8(60, at);
    expect(reasonOf(chain)).to.equal('malformed');
  });
});
