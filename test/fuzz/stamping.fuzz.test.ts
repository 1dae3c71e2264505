import { expect } from 'chai';
import * as fc from 'fast-check';
import { SETTING, StampingPair, xor } from '../support/stamping.ts';

const INNER = Buffer.from('4500001c an inner packet of some length');
const PACKETS = 12;
const SENDERS = 3;
const ivOf = (sender: number, counter: number) => (BigInt(sender) << 48n) | BigInt(counter);

/** Deliveries of any packets in any order, as often as the link likes, some with bytes changed or of another epoch. */
const delivery = fc.record({
  sender: fc.integer({ min: 1, max: SENDERS }),
  counter: fc.integer({ min: 1, max: PACKETS }),
  isOld: fc.boolean(),
  changes: fc.oneof(
    { weight: 3, arbitrary: fc.constant([] as [number, number][]) },
    fc.array(fc.tuple(fc.nat(120), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
  ),
  stampedTimes: fc.integer({ min: 0, max: 2 }),
});

describe('fuzz: stamping', () => {
  it('never lets two packets of one IV out, nor a changed one that the peer accepts, in any schedule of the link', () => {
    fc.assert(
      fc.property(fc.array(delivery, { maxLength: 40 }), fc.boolean(), (schedule, hasEsn) => {
        const pair = new StampingPair({ ...SETTING, hasEsn });
        const old = pair.newSealer(SETTING.epoch - 1);
        const ivs = new Set<string>();
        let number = hasEsn ? 0xffff_fff0n : 0n;
        for (const { sender, counter, isOld, changes, stampedTimes } of schedule) {
          const inner = Buffer.concat([INNER, Buffer.from([sender, counter])]);
          const genuine = pair.seal(inner, ivOf(sender, counter), isOld ? old : pair.sealer);
          const packet = Buffer.from(genuine);
          for (const [at, mask] of changes) {
            if (at < packet.length) packet[at] = (packet[at] as number) ^ mask;
          }
          const reason = pair.accept(packet, sender);
          if (isOld) expect(reason).to.not.equal('none');
          if (reason !== 'none') continue;
          for (let again = 0; again < stampedTimes; again++) {
            number++;
            const out = pair.stamp(packet, number);
            if (typeof out === 'string') continue;
            const iv = out.subarray(8, 16).toString('hex');
            expect(ivs.has(iv), `two packets of IV ${iv}`).to.equal(false);
            ivs.add(iv);
            const opened = pair.open(out, Number(number >> 32n));
            expect(opened).to.deep.equal(packet.equals(genuine) ? inner : 'icv');
          }
        }
      }),
    );
  });

  it('accepts no random bytes, and reads none outside of the packet', () => {
    const pair = new StampingPair();
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(
        bytes,
        fc.boolean(),
        fc.nat(0xffff),
        fc.nat(0xffff_ffff),
        (tail, isLikely, sender, epoch) => {
          const packet = Buffer.from(tail);
          // Past the first checks of form and of the SA: version, group, SPI, number 0.
          if (isLikely) packet.write('01000000c0ffee01', 'hex');
          if (isLikely && packet.length > 24) packet.write('0000c10100000000', 16, 'hex');
          expect(pair.accept(packet, sender, epoch)).to.not.equal('none');
          expect(pair.accept(packet, sender)).to.not.equal('none');
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('shows neither tag(0) nor the correction on the link: for one number and length, every pad is another', () => {
    const differences = new Set<string>();
    const masked = new Set<string>();
    for (let counter = 1; counter <= 1000; counter++) {
      const pair = new StampingPair();
      const packet = pair.seal(INNER, ivOf(1, counter));
      const onWire = pair.pass(packet, 5n) as Buffer;
      masked.add(packet.subarray(-16).toString('hex'));
      differences.add(xor(packet.subarray(-16), onWire.subarray(-16)).toString('hex'));
    }
    expect(masked.size).to.equal(1000);
    expect(differences.size, 'unmasked, they would be one').to.equal(1000);
  });
});
