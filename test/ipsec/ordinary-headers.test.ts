import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP } from '../../src/base/verdict.ts';
import { InnerHeaderReader } from '../../src/ipsec/inner-headers.ts';
import { readOrdinary, readPorts } from '../../src/ipsec/ordinary-headers.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { hostileInner, upperHeader } from '../support/hostile-inner.ts';
import { columnsOf } from '../support/inner-columns.ts';
import { tcp, udp } from '../support/inner-packets.ts';

const AT = 3;
const placed = (packet: Uint8Array) =>
  Buffer.concat([Buffer.alloc(AT, 0x45), packet, Buffer.alloc(64, 0xaa)]);
const dirty = () => {
  const batch = new TestBatch([Buffer.alloc(1), Buffer.alloc(1)]);
  for (const column of Object.values(columnsOf(batch))) column.fill(0x77);
  return batch;
};

describe('ordinary headers', () => {
  const reader = new InnerHeaderReader();

  it('are what the reader of all headers says, or nothing is said, whatever the packet and however much of it is at hand', () => {
    let ordinary = 0;
    fc.assert(
      fc.property(
        hostileInner,
        fc.oneof(fc.constant(120), fc.nat(120)),
        fc.nat(4),
        (packet, atHand, longer) => {
          const bytes = placed(packet);
          const length = packet.length + longer;
          const available = Math.min(atHand, length);
          const [said, wanted] = [dirty(), dirty()];
          if (!readOrdinary(bytes, AT, length, available, said, 1)) {
            expect(columnsOf(said)).to.deep.equal(columnsOf(dirty()));
            return;
          }
          ordinary++;
          expect(reader.read({ bytes, at: AT, length, available }, wanted, 1)).to.equal(KEEP);
          expect(columnsOf(said)).to.deep.equal(columnsOf(wanted));
        },
      ),
      { numRuns: 2000 },
    );
    expect(ordinary).to.be.above(50);
  });

  it('are the same in transport mode', () => {
    fc.assert(
      fc.property(
        upperHeader,
        fc.constantFrom(6, 17, 1, 44, 50),
        fc.constantFrom(4, 6),
        fc.nat(60),
        (payload, protocol, family, atHand) => {
          const bytes = placed(payload);
          const available = Math.min(atHand, payload.length);
          const [said, wanted] = [dirty(), dirty()];
          said.family[1] = wanted.family[1] = family;
          if (!readPorts(bytes, AT, available, protocol, said, 1)) return;
          const inner = { bytes, at: AT, length: payload.length, available };
          expect(reader.readTransport(inner, protocol, wanted, 1)).to.equal(KEEP);
          expect(columnsOf(said)).to.deep.equal(columnsOf(wanted));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('are those of TCP and UDP in IPv4: the case that is worth it', () => {
    for (const packet of [tcp(), udp({})]) {
      expect(readOrdinary(packet, 0, packet.length, packet.length, dirty(), 0)).to.equal(true);
    }
  });
});
