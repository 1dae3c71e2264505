import { expect } from 'chai';
import { RecentRise } from '../../src/base/recent-rise.ts';

describe('recent rise', () => {
  it('is for so long after the counter rose last, and never without a rise', () => {
    const rise = new RecentRise(1000);
    expect(rise.isRecent(0)).to.equal(false);
    rise.look(0, 0);
    rise.look(5, 100);
    rise.look(5, 900);
    expect([rise.isRecent(1099), rise.isRecent(1100)]).to.deep.equal([true, false]);
    rise.look(6, 5000);
    expect(rise.isRecent(5999)).to.equal(true);
  });
});
