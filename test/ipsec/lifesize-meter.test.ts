import { expect } from 'chai';
import { LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';

const HARD = { hardBytes: 10_000, hardPackets: 0 };
const NONE = { hardBytes: 0, hardPackets: 0 };
const UNLIMITED = Number.MAX_SAFE_INTEGER;

describe('lifesize meter', () => {
  it('lets nothing pass the credit if there is a hard limit, and counts only what passed', () => {
    const meter = new LifesizeMeter({ bytes: 1000, packets: UNLIMITED }, HARD);
    expect(meter.count(1, 600)).equal(true);
    expect(meter.count(1, 401)).equal(false);
    expect(meter.count(1, 400)).equal(true);
    expect([meter.bytes, meter.packets, meter.refused]).deep.equal([1000, 2, 1]);
  });

  it('enforces packets in the same way', () => {
    const meter = new LifesizeMeter({ bytes: UNLIMITED, packets: 2 }, { hardBytes: 0, hardPackets: 5 });
    expect([meter.count(1, 9), meter.count(1, 9), meter.count(1, 9)]).deep.equal([true, true, false]);
  });

  it('lets everything pass without a hard limit', () => {
    const meter = new LifesizeMeter({ bytes: 1000, packets: UNLIMITED }, NONE);
    expect(meter.count(10, 5000)).equal(true);
    expect(meter.isDue).equal(true);
  });

  it('asks for more after three quarters of the credit, once, and again when a packet was refused', () => {
    const meter = new LifesizeMeter({ bytes: 1000, packets: UNLIMITED }, HARD);
    meter.count(1, 749);
    expect(meter.isDue).equal(false);
    meter.count(1, 1);
    expect(meter.isDue).equal(true);
    expect(meter.report(0)).deep.equal({ bytes: 750, packets: 2, idleMs: 0 });
    expect(meter.isDue).equal(false);
    expect(meter.report(1)).equal(undefined);
    meter.count(1, 500);
    expect(meter.isDue, 'refused').equal(true);
    expect(meter.report(2)).include({ bytes: 750 });
    expect(meter.report(3)).equal(undefined);
    meter.granted({ bytes: 2000, packets: UNLIMITED });
    expect(meter.isDue).equal(false);
    expect(meter.count(1, 500)).equal(true);
  });

  it('asks after half of the credit where the answer before took long, and again when half of the rest is used', () => {
    const meter = new LifesizeMeter({ bytes: 100_000, packets: UNLIMITED }, HARD);
    const usedUntilDue = () => {
      const before = meter.bytes;
      while (!meter.isDue) meter.count(1, 1000);
      meter.current(0);
      return meter.bytes - before;
    };
    expect(usedUntilDue()).to.equal(75_000);
    meter.count(1, 10_000);
    meter.granted({ bytes: 175_000, packets: UNLIMITED });
    // 100 000 since the report; in the wait it used 10 000, so 30 000 are to be in hand.
    expect(usedUntilDue()).to.equal(60_000);
    expect(usedUntilDue()).to.equal(15_000);
    expect(usedUntilDue()).to.equal(8000);
    meter.granted({ bytes: 300_000, packets: UNLIMITED });
    expect(usedUntilDue(), 'half of 132 000').to.equal(66_000);
  });

  it('reports once a second while there is traffic, and is silent without', () => {
    const meter = new LifesizeMeter({ bytes: UNLIMITED, packets: UNLIMITED }, NONE);
    expect(meter.report(0)).equal(undefined);
    meter.count(1, 10);
    expect(meter.report(100)).deep.equal({ bytes: 10, packets: 1, idleMs: 0 });
    meter.count(1, 10);
    expect(meter.report(1099)).equal(undefined);
    expect(meter.report(1100)).deep.equal({ bytes: 20, packets: 2, idleMs: 1 });
    expect(meter.report(5000)).equal(undefined);
    expect(meter.current(5000).idleMs).equal(3901);
  });

  it('takes credit as absolute and never less', () => {
    const meter = new LifesizeMeter({ bytes: 1000, packets: UNLIMITED }, HARD);
    meter.granted({ bytes: 500, packets: UNLIMITED });
    expect(meter.count(1, 1000)).equal(true);
  });

  it('stays exact at 2^53 - 1', () => {
    const meter = new LifesizeMeter({ bytes: UNLIMITED, packets: UNLIMITED }, NONE);
    meter.count(1, UNLIMITED - 1);
    meter.count(1, 1);
    expect(meter.bytes).equal(UNLIMITED);
    meter.count(1, 100);
    expect(meter.bytes).equal(UNLIMITED);
    expect(Number.isSafeInteger(meter.bytes)).equal(true);
  });
});
