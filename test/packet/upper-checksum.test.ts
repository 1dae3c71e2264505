import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum4, sumWords } from '../../src/packet/checksum.ts';
import { hasValidTcpChecksum, writeTcpChecksum } from '../../src/packet/tcp.ts';
import { hasValidUdpChecksum, writeUdpChecksum } from '../../src/packet/udp.ts';
import { refreshUpperChecksum } from '../../src/packet/upper-checksum.ts';
import { packetVectors, words } from '../support/packet-vectors.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

/** Addresses somewhere in a column, with others around. */
function column(...texts: string[]): Uint32Array {
  return Uint32Array.from(['2001:db8:ffff::1', ...texts, '203.0.113.99'].flatMap((text) => [...words(text)]));
}

describe('checksums over both families', () => {
  it('the pseudo header of IPv4 addresses as four words is that of the host numbers', () => {
    const both = column('192.0.2.101', '192.0.2.10');
    expect(pseudoHeaderSum(both, 4, both, 8, 6, 40)).to.equal(
      pseudoHeaderSum4(0xc0000265, 0xc000020a, 6, 40),
    );
  });

  for (const { it: name, protocol, from, to, before, after } of packetVectors.moved) {
    const bytes = fromHex(after);

    if (protocol === 6 || protocol === 17) {
      it(`writes and verifies what scapy does: ${name}`, () => {
        const both = column(...to);
        const slab = inSlab(bytes);
        const write = protocol === 6 ? writeTcpChecksum : writeUdpChecksum;
        const isValid = protocol === 6 ? hasValidTcpChecksum : hasValidUdpChecksum;
        expect(isValid(slab, 37, bytes.length, both, 4, both, 8)).to.equal(true);
        if (name.includes('without')) return;
        const checksumAt = 37 + (protocol === 6 ? 16 : 6);
        slab.writeUInt16BE(slab.readUInt16BE(checksumAt) ^ 0x0100, checksumAt);
        expect(isValid(slab, 37, bytes.length, both, 4, both, 8)).to.equal(false);
        write(slab, 37, bytes.length, both, 4, both, 8);
        expect(slab).to.deep.equal(inSlab(bytes));
      });
    }

    it(`follows changed addresses in transport mode through NAT (RFC 3948 section 3.1.2): ${name}`, () => {
      const slab = inSlab(fromHex(before));
      const now = column(...to);
      expect(refreshUpperChecksum(slab, 37, bytes.length, protocol, now, 4, now, 8)).to.equal(KEEP);
      expect(slab).to.deep.equal(inSlab(bytes));
      const back = column(...from);
      expect(refreshUpperChecksum(slab, 37, bytes.length, protocol, back, 4, back, 8)).to.equal(KEEP);
      expect(slab).to.deep.equal(inSlab(fromHex(before)));
    });
  }

  for (const { it: name, source, destination, hex } of packetVectors.zeroSum) {
    it(`sends a UDP checksum of 0 as 0xffff ${name} (RFC 768, RFC 8200 section 8.1)`, () => {
      const both = column(source, destination);
      const bytes = fromHex(hex);
      expect(bytes.readUInt16BE(6)).to.equal(0xffff);
      const slab = inSlab(bytes);
      slab.writeUInt16BE(0x1234, 43);
      writeUdpChecksum(slab, 37, bytes.length, both, 4, both, 8);
      expect(slab).to.deep.equal(inSlab(bytes));
      slab.writeUInt16BE(0x1234, 43);
      expect(refreshUpperChecksum(slab, 37, bytes.length, 17, both, 4, both, 8)).to.equal(KEEP);
      expect(slab).to.deep.equal(inSlab(bytes));
    });
  }

  it('a UDP checksum of 0 is "none" over IPv4, and wrong over IPv6, where refreshing makes one', () => {
    const datagram = fromHex('14e90035000b00006f6464');
    const [four, six] = [column('192.0.2.1', '192.0.2.2'), column('2001:db8::1', '2001:db8::2')];
    expect(hasValidUdpChecksum(datagram, 0, 11, four, 4, four, 8)).to.equal(true);
    expect(hasValidUdpChecksum(datagram, 0, 11, six, 4, six, 8)).to.equal(false);
    refreshUpperChecksum(datagram, 0, 11, 17, six, 4, six, 8);
    expect(datagram.readUInt16BE(6)).to.not.equal(0);
    expect(hasValidUdpChecksum(datagram, 0, 11, six, 4, six, 8)).to.equal(true);
  });

  it('UDP-Lite covers what it says it covers (RFC 3828 section 3.1)', () => {
    const both = column('192.0.2.1', '192.0.2.2');
    const make = (coverage: number) => {
      const packet = fromHex('14e90035 0000 0000 0102030405');
      packet.writeUInt16BE(coverage, 4);
      return packet;
    };
    for (const [coverage, covered] of [
      [0, 13],
      [8, 8],
      [11, 11],
      [13, 13],
    ] as const) {
      const packet = make(coverage);
      expect(refreshUpperChecksum(packet, 0, 13, 136, both, 4, both, 8)).to.equal(KEEP);
      const pseudo = pseudoHeaderSum(both, 4, both, 8, 136, 13);
      expect(foldChecksum(sumWords(packet, 0, covered, pseudo))).to.equal(0);
    }
    for (const coverage of [1, 7, 14])
      expect(DROP_REASONS[refreshUpperChecksum(make(coverage), 0, 13, 136, both, 4, both, 8)]).to.equal(
        'malformed',
      );
  });

  it('refuses what is shorter than its header, and leaves protocols without pseudo header alone', () => {
    const both = column('192.0.2.1', '192.0.2.2');
    const refresh = (hex: string, protocol: number, length = fromHex(hex).length) => {
      const slab = inSlab(fromHex(hex));
      const reason = DROP_REASONS[refreshUpperChecksum(slab, 37, length, protocol, both, 4, both, 8)];
      expect(slab).to.deep.equal(inSlab(fromHex(hex)));
      return reason;
    };
    const header = '14e90035000b12346f646400000000000000000000';
    expect([6, 17, 58, 136].map((protocol) => refresh(header, protocol, 7))).to.deep.equal(
      Array(4).fill('truncated'),
    );
    expect(refresh('14e90035000c12346f6464', 17)).to.equal('truncated');
    expect(refresh('14e90035000712346f6464', 17)).to.equal('malformed');
    expect([1, 47, 50, 132].map((protocol) => refresh(header, protocol))).to.deep.equal(
      Array(4).fill('none'),
    );
  });
});
