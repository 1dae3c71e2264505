import { expect } from 'chai';
import { NumberingHolder, TAKE_FUNNEL, TAKE_WAIT } from '../../src/ipsec/numbering-holder.ts';

/** A holder of lease 7: numbers 101..164, asked for at 1000, granted at 1001. */
function exclusive(): NumberingHolder {
  const holder = new NumberingHolder();
  expect(holder.take(1, 1000)).equal(TAKE_WAIT);
  expect(holder.takeActions()).deep.equal([{ kind: 'lease-request', count: 64 }]);
  expect(holder.granted(7, 101n, 64, 200, 1001)).equal(true);
  expect(holder.takeActions()).deep.equal([{ kind: 'resume' }]);
  return holder;
}

describe('numbering holder', () => {
  it('asks once and waits for the answer', () => {
    const holder = new NumberingHolder();
    expect(holder.take(3, 0)).equal(TAKE_WAIT);
    expect(holder.take(5, 1)).equal(TAKE_WAIT);
    expect(holder.takeActions()).deep.equal([{ kind: 'lease-request', count: 64 }]);
    expect(holder.state).equal('asking');
  });

  it('gives numbers in ascending order, and none twice', () => {
    const holder = exclusive();
    expect([holder.take(3, 1002), holder.take(1, 1002), holder.take(10, 1002)]).deep.equal([101, 104, 105]);
    expect(holder.available(1002)).equal(50);
  });

  it('asks for more when half of the numbers are used', () => {
    const holder = exclusive();
    holder.take(32, 1002);
    expect(holder.takeActions()).deep.equal([]);
    holder.take(1, 1003);
    expect(holder.takeActions()[0]).property('kind', 'lease-request');
  });

  it('renews at half its life if it was used, and gives back if it was not', () => {
    const used = exclusive();
    used.take(1, 1002);
    used.sent(1, 1002);
    expect(used.deadline()).equal(1100);
    used.tick(1100);
    expect(used.takeActions()).deep.equal([{ kind: 'lease-request', count: 1 }]);

    const idle = exclusive();
    idle.tick(1100);
    expect(idle.takeActions()).deep.equal([{ kind: 'lease-return', lease: 7, firstUnused: 101n }]);
    expect(idle.state).equal('none');
  });

  it('continues a renewed lease', () => {
    const holder = exclusive();
    holder.take(60, 1002);
    expect(holder.granted(7, 165n, 64, 200, 1003)).equal(true);
    expect(holder.available(1003)).equal(68);
    expect(holder.take(10, 1201)).equal(161);
  });

  it('uses nothing past its TTL, counted from its request', () => {
    const holder = exclusive();
    expect(holder.available(1199.9)).equal(64);
    expect(holder.available(1200)).equal(0);
    expect(holder.take(1, 1200)).equal(TAKE_WAIT);
    expect(holder.takeActions()).deep.equal([
      { kind: 'lease-return', lease: 7, firstUnused: 101n },
      { kind: 'lease-request', count: 64 },
    ]);
  });

  it('counts the TTL from the first of repeated requests', () => {
    const holder = new NumberingHolder();
    holder.take(1, 0);
    holder.tick(250);
    expect(holder.takeActions()).have.length(2);
    expect(holder.granted(7, 101n, 64, 200, 251)).equal(true);
    expect(holder.available(251), 'too old already').equal(0);
  });

  it('answers a revoke only after the last send call has returned', () => {
    const holder = exclusive();
    holder.take(10, 1002);
    holder.revoked(7, 1003);
    expect(holder.takeActions()).deep.equal([]);
    expect(holder.take(1, 1003), 'nothing more of it').equal(TAKE_WAIT);
    holder.sent(4, 1004);
    expect(holder.takeActions()).deep.equal([]);
    holder.sent(6, 1005);
    const [back, again] = holder.takeActions();
    expect(back).deep.equal({ kind: 'lease-return', lease: 7, firstUnused: 111n });
    expect(again, 'somebody waits').property('kind', 'lease-request');
  });

  it('answers an unknown revoke with nothing', () => {
    const holder = exclusive();
    holder.revoked(6, 1003);
    expect(holder.takeActions()).deep.equal([]);
    expect(holder.take(1, 1003)).equal(101);
  });

  it('changes to the funnel at once, gives the lease back, and flushes when told to leave', () => {
    const holder = exclusive();
    holder.way('funnel', 0n, 1002);
    expect(holder.takeActions()).deep.equal([{ kind: 'lease-return', lease: 7, firstUnused: 101n }]);
    expect(holder.take(5, 1002)).equal(TAKE_FUNNEL);
    holder.way('exclusive', 41n, 1003);
    expect(holder.takeActions()).deep.equal([
      { kind: 'flush', counter: 41n },
      { kind: 'lease-request', count: 64 },
    ]);
    expect(holder.take(1, 1003)).equal(TAKE_WAIT);
  });

  it('lets queued packets go when the way changes to the funnel', () => {
    const holder = new NumberingHolder();
    holder.take(1, 0);
    holder.takeActions();
    holder.way('funnel', 0n, 1);
    expect(holder.takeActions()).deep.equal([{ kind: 'resume' }]);
  });

  it('takes no grant that it did not ask for, no lease that was over, no overlap', () => {
    const idle = new NumberingHolder();
    expect(idle.granted(7, 101n, 64, 200, 0)).equal(false);

    const holder = exclusive();
    expect(holder.granted(8, 165n, 64, 200, 1002), 'not asked for').equal(false);
    holder.tick(1100);
    holder.take(1, 1101);
    expect(holder.granted(7, 101n, 64, 200, 1102), 'was given back').equal(false);
    expect(holder.granted(8, 101n, 64, 200, 1102)).equal(true);
    expect(holder.take(1, 1103)).equal(101);
  });

  it('gives back and asks anew if an extension was lost in between', () => {
    const holder = exclusive();
    holder.take(60, 1002);
    holder.takeActions();
    expect(holder.granted(7, 229n, 64, 200, 1003)).equal(false);
    holder.sent(60, 1003);
    expect(holder.takeActions()).deep.include({ kind: 'lease-return', lease: 7, firstUnused: 161n });
  });

  it('keeps its lease over a lost session but drops it for a new epoch, without returning it', () => {
    const holder = exclusive();
    holder.sessionStarted(false, 1010);
    expect(holder.take(1, 1011)).equal(101);
    holder.sessionStarted(true, 1012);
    expect(holder.take(1, 1013)).equal(TAKE_WAIT);
    const kinds = holder.takeActions().map(({ kind }) => kind);
    expect(kinds).deep.equal(['lease-request']);
  });

  it('asks for what 100 ms of its traffic need', () => {
    const holder = exclusive();
    let asked = 0;
    let next = 165n;
    for (let now = 1001; now < 1300; now++) {
      holder.take(Math.min(20, holder.available(now)), now);
      holder.sent(20, now);
      for (const action of holder.takeActions()) {
        if (action.kind !== 'lease-request') continue;
        asked = action.count;
        holder.granted(7, next, asked, 200, now);
        next += BigInt(asked);
      }
    }
    expect(asked).within(500, 2500);
  });
});
