import { expect } from 'chai';
import { internetChecksum } from '../../src/packet/checksum.ts';
import {
  decapsulatedEcn,
  ECN_DROP,
  readTrafficClass,
  writeTrafficClass,
} from '../../src/packet/traffic-class.ts';
import { ipPacket } from '../support/ip-packets.ts';

const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3];

describe('traffic class', () => {
  it('says of congestion what figure 4 of RFC 6040 says', () => {
    const rows = [NOT, ECT0, ECT1, CE].map((inner) =>
      [NOT, ECT0, ECT1, CE].map((outer) => decapsulatedEcn(inner, outer)),
    );
    expect(rows).to.deep.equal([
      [NOT, NOT, NOT, ECN_DROP],
      [ECT0, ECT0, ECT1, CE],
      [ECT1, ECT1, ECT1, CE],
      [CE, CE, CE, CE],
    ]);
  });

  for (const [family, source, destination] of [
    [4, '10.1.1.1', '203.0.113.10'],
    [6, '2001:db8::1', '2001:db8::2'],
  ] as const) {
    it(`is read and written in an IPv${family} header, and nothing else changes`, () => {
      for (let before = 0; before < 256; before += 5) {
        for (let after = 0; after < 256; after++) {
          const given = { source, destination, protocol: 17, payload: Buffer.alloc(8) };
          const packet = ipPacket({ ...given, trafficClass: before });
          expect(readTrafficClass(packet, 0)).to.equal(before);
          writeTrafficClass(packet, 0, after);
          expect(readTrafficClass(packet, 0)).to.equal(after);
          if (family === 4) expect(internetChecksum(packet, 0, 20)).to.equal(0);
          else expect(packet.equals(ipPacket({ ...given, trafficClass: after }))).to.equal(true);
        }
      }
    });
  }
});
