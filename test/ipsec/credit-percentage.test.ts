import { expect } from 'chai';
import { CreditPercentage, LEAST_PERCENTAGE, MOST_PERCENTAGE } from '../../src/ipsec/credit-percentage.ts';
import { LifesizeUnit } from '../../src/ipsec/lifesize-unit.ts';
import { DEFAULT_REKEY_MS, RekeyTimes } from '../../src/ipsec/rekey-times.ts';

const use = (total: number, soft = 800, hard = 1000, unit: 'bytes' | 'packets' = 'bytes') => {
  const { inTimeBelow } = new LifesizeUnit({ soft, hard }, { grain: 1, quiet: 1 });
  return { direction: 'out', unit, total, soft, hard, inTimeBelow } as const;
};

function after(...totals: readonly number[]): CreditPercentage {
  const credit = new CreditPercentage(10);
  for (const [i, total] of totals.entries()) credit.switched({ uses: [use(total)], rekeyMs: 50, now: i });
  return credit;
}

describe('the percentage of a configuration', () => {
  it('grows when charon switched below the middle between soft and hard limit, and halves from there on', () => {
    expect(after(899).percentage).to.equal(12.5);
    expect(after(900).percentage).to.equal(5);
    expect(after(899, 850, 900).percentage).to.equal(7.8125);
  });

  it('halves when a hard limit ended the SA', () => {
    const credit = new CreditPercentage(10);
    expect(credit.hardLimitMet(use(1000), 0)).to.include({ outcome: 'hard-limit', percentageAfter: 5 });
  });

  it('stays within its bounds', () => {
    expect(after(...Array<number>(40).fill(1)).percentage).to.equal(MOST_PERCENTAGE);
    expect(after(...Array<number>(40).fill(1000)).percentage).to.equal(LEAST_PERCENTAGE);
  });

  it('is late if any unit of either direction is, and tells of the one that was nearest', () => {
    const credit = new CreditPercentage(10);
    const uses = [use(100), use(95, 80, 100, 'packets'), use(500)];
    expect(credit.switched({ uses, rekeyMs: undefined, now: 7 })).to.include({
      generation: 1,
      at: 7,
      outcome: 'late',
      unit: 'packets',
      total: 95,
      soft: 80,
      hard: 100,
      percentageBefore: 10,
      percentageAfter: 5,
    });
  });

  it('without a hard limit takes a tenth of the soft one for the room between them', () => {
    expect(use(0, 1000, 0).inTimeBelow).to.be.closeTo(1050, 1e-9);
  });

  it('without a soft limit takes 80 % of the hard one', () => {
    expect(use(0, 0, 1000).inTimeBelow).to.equal(900);
  });

  it('remembers a bounded history, numbered from the first generation', () => {
    const { history } = after(...Array<number>(20).fill(850));
    expect(history).to.have.length(16);
    expect(history.map(({ generation }) => generation)).to.deep.equal(
      Array.from({ length: 16 }, (_, i) => i + 5),
    );
  });

  it('goes on from what an earlier life of the agent had learned', () => {
    const credit = new CreditPercentage(33, 1700);
    expect([credit.percentage, credit.rekeyMs]).to.deep.equal([33, 1700]);
    credit.switched({ uses: [use(1)], rekeyMs: 20, now: 0 });
    expect(credit.rekeyMs).to.equal(DEFAULT_REKEY_MS);
  });
});

describe('times of rekeys', () => {
  it('are no shorter than the cautious default until there are enough of them, and no shorter than seen', () => {
    const times = new RekeyTimes();
    expect(times.p99Ms).to.equal(DEFAULT_REKEY_MS);
    times.add(2000);
    expect(times.p99Ms).to.equal(2000);
    const quick = new RekeyTimes();
    for (let i = 1; i <= 7; i++) quick.add(i);
    expect(quick.p99Ms).to.equal(DEFAULT_REKEY_MS);
    quick.add(8);
    expect(quick.p99Ms).to.equal(8);
  });

  it('forget the oldest, so that a path that became better is believed in the end', () => {
    const times = new RekeyTimes();
    times.add(5000);
    for (let i = 0; i < 64; i++) times.add(40);
    expect(times.p99Ms).to.equal(40);
  });
});
