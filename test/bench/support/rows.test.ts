import { expect } from 'chai';
import { judge, quantile, ratioOf, tableOf } from './rows.ts';

const measured = (value: number) => ({ value, rounds: [value], measured: 'something' });

describe('bench rows', () => {
  it('are judged by the limit of their key, which counts as reached', () => {
    const rows = judge({
      'routing.uncoalesced': measured(3),
      'target.in.evp': measured(8.99),
      scale: measured(1.5),
    });
    expect(rows['routing.uncoalesced']?.reached).to.equal(true);
    expect(rows['target.in.evp']?.reached).to.equal(false);
    expect(rows['scale']?.reached).to.equal(true);
  });

  it('that nothing has measured are there, neither reached nor not', () => {
    const rows = judge({});
    expect(rows['control.ike']).to.have.all.keys('target');
    expect(tableOf(rows).find((line) => line.startsWith('control.ike'))).to.contain('not measured');
  });

  it('of a key that there is not are an error: a misspelt one would never be missed', () => {
    expect(() => judge({ 'routing.coalesced9': measured(1) })).to.throw('no such key: routing.coalesced9');
  });

  it('compare what was measured in one round, and take the median of the ratios', () => {
    expect(ratioOf([100, 200, 400], [1000, 1000, 1000])).to.deep.equal({ value: 5, rounds: [10, 5, 2.5] });
  });

  it('have quantiles that as many do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile([7], 0.99)]).to.deep.equal([50, 99, 7]);
  });
});
