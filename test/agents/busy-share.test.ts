import { expect } from 'chai';
import * as fc from 'fast-check';
import { BusyShare } from '../../src/agents/target/busy-share.ts';

/** The share after seconds that were busy by so much, of a thousand ticks each. */
function after(...seconds: readonly number[]): number | undefined {
  const share = new BusyShare();
  let [busy, total] = [5000, 90_000];
  share.measured({ busy, total });
  for (const each of seconds) {
    busy += each;
    total += 1000;
    share.measured({ busy, total });
  }
  return share.perMille;
}

describe('busy share', () => {
  it('is not known before two measurements, and is the first second after them', () => {
    expect([new BusyShare().perMille, after(), after(0), after(250), after(1000)]).to.deep.equal([
      undefined,
      undefined,
      0,
      250,
      1000,
    ]);
  });

  it('follows a change by half a second, so that one busy second is not the whole truth', () => {
    expect([after(0, 1000), after(0, 1000, 1000), after(0, 1000, 0, 0, 0, 0)]).to.deep.equal([500, 750, 31]);
  });

  it('stays when the clock of the processors stands still or goes back', () => {
    const share = new BusyShare();
    share.measured({ busy: 0, total: 0 });
    share.measured({ busy: 300, total: 1000 });
    share.measured({ busy: 300, total: 1000 });
    share.measured({ busy: 100, total: 900 });
    share.measured({ busy: 90, total: 950 });
    expect(share.perMille).to.equal(300);
  });

  it('is between nothing and all, whatever is measured', () => {
    const number = fc.integer({ min: -1000, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(fc.array(fc.record({ busy: number, total: number }), { maxLength: 20 }), (measured) => {
        const share = new BusyShare();
        for (const times of measured) share.measured(times);
        expect(share.perMille ?? 0).to.be.within(0, 1000);
        expect(Number.isInteger(share.perMille ?? 0)).to.equal(true);
      }),
    );
  });
});
