import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import {
  encodeUdp,
  hasValidUdpChecksum4,
  parseUdp,
  UdpHeader,
  writeUdpChecksum4,
} from '../../src/packet/udp.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new UdpHeader();
const [CLIENT, SERVER] = [0x0a010101, 0xcb00710a];

describe('udp', () => {
  for (const vector of headerVectors.udp) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex).subarray(20);
      const slab = inSlab(bytes);
      expect(parseUdp(slab, 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
      expect(hasValidUdpChecksum4(slab, 37, header.totalBytes, CLIENT, SERVER)).to.equal(true);
    });
  }

  it('writes header and checksum as scapy does', () => {
    const bytes = fromHex(headerVectors.udp[0]?.hex as string).subarray(20);
    const slab = inSlab(Buffer.concat([Buffer.alloc(8, 0xbb), Buffer.from('odd')]));
    encodeUdp(slab, 37, 40000, 4500, 3);
    expect(slab.readUInt16BE(37 + 6)).to.equal(0);
    writeUdpChecksum4(slab, 37, 11, CLIENT, SERVER);
    expect(slab.subarray(37, 48)).to.deep.equal(bytes);
  });

  it('never writes checksum 0, which would mean "none" (RFC 768)', () => {
    const slab = Buffer.alloc(10);
    encodeUdp(slab, 0, 1, 2, 2);
    for (let payload = 0; payload <= 0xffff; payload++) {
      slab.writeUInt16BE(payload, 8);
      writeUdpChecksum4(slab, 0, 10, CLIENT, SERVER);
      if (slab.readUInt16BE(6) === 0) throw new Error(`checksum 0 with payload ${payload}`);
    }
  });

  it('refuses truncation, a length under 8 and a wrong checksum', () => {
    const bytes = fromHex(headerVectors.udp[0]?.hex as string).subarray(20);
    for (let length = 0; length < bytes.length; length++)
      expect(DROP_REASONS[parseUdp(inSlab(bytes), 37, length, header)]).to.equal('truncated');
    const short = Buffer.from(bytes);
    short.writeUInt16BE(7, 4);
    expect(DROP_REASONS[parseUdp(inSlab(short), 37, short.length, header)]).to.equal('malformed');
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(1 ^ (flipped[10] as number), 10);
    expect(hasValidUdpChecksum4(flipped, 0, 11, CLIENT, SERVER)).to.equal(false);
  });

  it('tolerates padding behind the UDP length', () => {
    const bytes = fromHex(headerVectors.udp[1]?.hex as string).subarray(20);
    expect(parseUdp(inSlab(bytes), 37, bytes.length + 9, header)).to.equal(KEEP);
    expect(header.payloadBytes).to.equal(1);
  });
});
