import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import {
  encodeTcp,
  hasValidTcpChecksum4,
  parseTcp,
  TCP_FLAG,
  TcpHeader,
  writeTcpChecksum4,
} from '../../src/packet/tcp.ts';
import { fieldsOf, headerVectors } from '../support/header-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new TcpHeader();
const [CLIENT, SERVER] = [0x0a010101, 0xcb00710a];

describe('tcp', () => {
  for (const vector of headerVectors.tcp) {
    it(`reads what scapy made: ${vector.it}`, () => {
      const bytes = fromHex(vector.hex).subarray(20);
      const slab = inSlab(bytes);
      expect(parseTcp(slab, 37, bytes.length, header)).to.equal(KEEP);
      expect(header).to.deep.include(fieldsOf(vector));
      expect(hasValidTcpChecksum4(slab, 37, bytes.length, CLIENT, SERVER)).to.equal(true);
    });
  }

  it('writes header and checksum as scapy does', () => {
    const bytes = fromHex(headerVectors.tcp[2]?.hex as string).subarray(20);
    const slab = inSlab(Buffer.alloc(20, 0xbb));
    encodeTcp(slab, 37, { sourcePort: 80, destinationPort: 51000, sequence: 9, flags: TCP_FLAG.RST });
    writeTcpChecksum4(slab, 37, 20, SERVER, CLIENT);
    expect(slab.subarray(37, 57)).to.deep.equal(bytes);
  });

  it('refuses a header that is truncated, shorter than 20 bytes or longer than the packet', () => {
    const bytes = fromHex(headerVectors.tcp[0]?.hex as string).subarray(20);
    for (let length = 0; length < bytes.length; length++)
      expect(DROP_REASONS[parseTcp(inSlab(bytes), 37, length, header)]).to.equal('truncated');
    const short = Buffer.from(bytes);
    short.writeUInt8(0x40, 12);
    expect(DROP_REASONS[parseTcp(inSlab(short), 37, short.length, header)]).to.equal('malformed');
  });

  it('sees a changed byte in the checksum', () => {
    const bytes = Buffer.from(fromHex(headerVectors.tcp[1]?.hex as string).subarray(20));
    bytes.writeUInt8(bytes.readUInt8(25) ^ 4, 25);
    expect(hasValidTcpChecksum4(bytes, 0, bytes.length, CLIENT, SERVER)).to.equal(false);
  });
});
