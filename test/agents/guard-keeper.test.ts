import { expect } from 'chai';
import { GuardKeeper } from '../../src/agents/guard-keeper.ts';
import type { Log } from '../../src/observe/log.ts';

/** Rules that somebody may flush, and how often they were looked at. */
class FakeGuard {
  isThere = true;
  looks = 0;
  installs = 0;

  isInstalled(): Promise<boolean> {
    this.looks++;
    return Promise.resolve(this.isThere);
  }

  install(): Promise<void> {
    this.installs++;
    this.isThere = true;
    return Promise.resolve();
  }
}

describe('guard keeper', () => {
  let guard: FakeGuard;
  let news: boolean;
  let events: unknown[];
  const changes = {
    takeNews() {
      const had = news;
      news = false;
      return had;
    },
  };
  const nothing = () => {};
  const log: Log = {
    error: (_, fields) => void events.push(fields?.['event']),
    warn: nothing,
    info: nothing,
    debug: nothing,
    child: () => log,
  };

  beforeEach(() => {
    guard = new FakeGuard();
    news = false;
    events = [];
  });

  it('looks first, and then when rules have changed', async () => {
    const keeper = new GuardKeeper(guard, changes, log);
    await keeper.look();
    for (let i = 0; i < 5; i++) await keeper.look();
    expect(guard.looks).to.equal(1);
    news = true;
    await keeper.look();
    await keeper.look();
    expect([guard.looks, guard.installs]).to.deep.equal([2, 0]);
  });

  it('puts back what was flushed, and says so', async () => {
    const keeper = new GuardKeeper(guard, changes, log);
    await keeper.look();
    guard.isThere = false;
    news = true;
    await keeper.look();
    expect([guard.isThere, events]).to.deep.equal([true, ['guard-repaired']]);
  });

  it('finds within a minute what the kernel did not tell', async () => {
    const keeper = new GuardKeeper(guard, changes, log);
    await keeper.look();
    guard.isThere = false;
    for (let i = 0; i < 12; i++) await keeper.look();
    expect([guard.isThere, guard.looks]).to.deep.equal([true, 2]);
  });

  it('takes a change while it looks for one that it has not seen', async () => {
    const keeper = new GuardKeeper(guard, changes, log);
    const look = keeper.look();
    news = true;
    await look;
    await keeper.look();
    expect(guard.looks).to.equal(2);
  });

  it('looks each time where the kernel does not tell', async () => {
    const keeper = new GuardKeeper(guard, undefined, log);
    for (let i = 0; i < 3; i++) await keeper.look();
    expect(guard.looks).to.equal(3);
  });
});
