import { expect } from 'chai';
import type { Clock } from '../../src/base/clock.ts';
import { Deadlines } from '../../src/base/deadlines.ts';

/** Time that a test moves by hand. */
function manualClock() {
  let time = 0;
  let next = 0;
  const timers = new Map<number, { at: number; action: () => void }>();
  const clock: Clock = {
    now: () => time,
    after(delayMs, action) {
      const id = next++;
      timers.set(id, { at: time + delayMs, action });
      return { cancel: () => timers.delete(id) };
    },
  };
  const advance = (to: number) => {
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= to).toSorted((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      timers.delete(due[0]);
      time = due[1].at;
      due[1].action();
    }
    time = to;
  };
  return { clock, advance, pending: () => timers.size };
}

describe('Deadlines', () => {
  it('calls each thing once, at its time, whatever the order they were set in', () => {
    const { clock, advance } = manualClock();
    const calls: string[] = [];
    const deadlines = new Deadlines<string>(clock, (thing, now) => calls.push(`${thing}@${now}`));
    deadlines.set('late', 30);
    deadlines.set('early', 10);
    deadlines.set('moved', 5);
    deadlines.set('moved', 20);
    advance(100);
    expect(calls).to.deep.equal(['early@10', 'moved@20', 'late@30']);
  });

  it('forgets a thing whose deadline is taken away, and everything when closed', () => {
    const { clock, advance, pending } = manualClock();
    const calls: string[] = [];
    const deadlines = new Deadlines<string>(clock, (thing) => calls.push(thing));
    deadlines.set('a', 10);
    deadlines.set('a', Number.POSITIVE_INFINITY);
    deadlines.set('b', 10);
    deadlines.delete('b');
    advance(20);
    deadlines.set('c', 30);
    deadlines.close();
    deadlines.set('d', 30);
    advance(50);
    expect(calls).to.deep.equal([]);
    expect(pending()).to.equal(0);
  });

  it('lets a thing set its next deadline while it is called', () => {
    const { clock, advance } = manualClock();
    let calls = 0;
    const deadlines = new Deadlines<string>(clock, (thing, now) => {
      if (++calls < 3) deadlines.set(thing, now + 10);
    });
    deadlines.set('a', 10);
    advance(100);
    expect(calls).to.equal(3);
  });
});
