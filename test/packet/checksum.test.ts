import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  foldChecksum,
  internetChecksum,
  pseudoHeaderSum6,
  sumWords,
  updateChecksum,
} from '../../src/packet/checksum.ts';
import { headerVectors } from '../support/header-vectors.ts';
import { fromHex } from '../support/vectors.ts';

describe('checksum', () => {
  it('sums the example of RFC 1071 section 3', () => {
    const bytes = fromHex('0001 f203 f4f5 f6f7');
    expect(sumWords(bytes, 0, 8)).to.equal(0x2ddf0);
    expect(foldChecksum(0x2ddf0)).to.equal(0x220d);
    expect(internetChecksum(bytes, 0, 8)).to.equal(0x220d);
  });

  it('counts an odd last byte as the high half of a word', () => {
    expect(sumWords(fromHex('0001 f2'), 0, 3)).to.equal(0xf201);
  });

  it('verifies the TCP segment over IPv6 that scapy made', () => {
    const packet = fromHex(headerVectors.ipv6[0]?.hex as string);
    expect(foldChecksum(sumWords(packet, 40, 20, pseudoHeaderSum6(packet, 8, 6, 20)))).to.equal(0);
  });

  it('updates a header after one changed word as if it were summed anew (RFC 1624)', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        fc.nat(8),
        fc.nat(0xffff),
        (raw, word, after) => {
          const header = Buffer.from(raw);
          header.writeUInt16BE(0x4500, 0); // a header of zeros only has two checksums
          const at = word === 5 ? 12 : word * 2 + (word === 0 ? 2 : 0);
          header.writeUInt16BE(0, 10);
          const checksum = internetChecksum(header, 0, 20);
          const before = header.readUInt16BE(at);
          header.writeUInt16BE(after, at);
          expect(updateChecksum(checksum, before, after)).to.equal(internetChecksum(header, 0, 20));
        },
      ),
      { seed: 1071 },
    );
  });
});
