import { expect } from 'chai';
import * as fc from 'fast-check';
import { IcvSuspicion } from '../../src/ipsec/icv-suspicion.ts';
import { VerificationBudget } from '../../src/ipsec/verification-budget.ts';

/** How many of `asked` packets each user may have opened in one window, over windows in which all ask. */
function shares(budget: VerificationBudget, users: number, asked: number, windows: number): number[] {
  const got = Array.from({ length: users }, () => 0);
  for (let window = 0; window < windows; window++) {
    for (let i = 0; i < asked; i++) {
      for (let user = 0; user < users; user++)
        if (budget.allows(user, window * 10)) got[user] = (got[user] as number) + 1;
    }
  }
  return got;
}

describe('the budget for opening packets on the routing host', () => {
  it('is never exceeded, whoever asks', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(3)), { maxLength: 2000 }), (asks) => {
        const budget = new VerificationBudget(5000);
        const byWindow = new Map<number, number>();
        let now = 0;
        for (const [user, later] of asks) {
          now += later;
          const window = Math.floor(now / 10);
          if (budget.allows(user, now)) byWindow.set(window, (byWindow.get(window) ?? 0) + 1);
        }
        for (const count of byWindow.values()) expect(count).at.most(50);
      }),
    );
  });

  it('leaves a share to an SA that comes while another one is flooded', () => {
    const budget = new VerificationBudget(10_000);
    for (let i = 0; i < 10_000; i++) budget.allows(1, 0);
    let granted = 0;
    for (let i = 0; i < 100; i++) if (budget.allows(2, 5)) granted++;
    expect(granted).at.least(33);
  });

  it('gives equal shares to SAs that ask all the time', () => {
    const got = shares(new VerificationBudget(10_000), 4, 200, 50);
    for (const count of got) expect(count).within(20 * 50 * 0.95, 25 * 50);
  });

  it('is whole again after a pause', () => {
    const budget = new VerificationBudget(10_000);
    shares(budget, 20, 20, 10);
    let granted = 0;
    for (let i = 0; i < 100; i++) if (budget.allows(7, 5000)) granted++;
    expect(granted).equal(50);
    expect(budget.granted + budget.refused).equal(20 * 20 * 10 + 100);
  });
});

describe('the suspicion that an SA is attacked', () => {
  it('is not raised by a few wrong ICVs now and then', () => {
    const suspicion = new IcvSuspicion();
    for (let now = 0; now < 60_000; now += 40) suspicion.wrong(1, now);
    expect(suspicion.isRaised(60_000)).equal(false);
  });

  it('is raised by many, told once, and ends by itself', () => {
    const suspicion = new IcvSuspicion();
    const told = Array.from({ length: 100 }, (_, now) => suspicion.wrong(1, now)).filter(Boolean);
    expect(told).lengthOf(1);
    expect(suspicion.isRaised(100)).equal(true);
    expect(suspicion.isRaised(99 + 3000)).equal(false);
  });
});
