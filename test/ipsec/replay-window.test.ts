import { expect } from 'chai';
import * as fc from 'fast-check';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';

const commitAll = (window: ReplayWindow, numbers: number[]) => numbers.map((n) => window.commit(0, n));

describe('replay-window', () => {
  it('accepts each number once, in any order inside the window', () => {
    const window = new ReplayWindow(32);
    expect(commitAll(window, [1, 3, 2, 5, 4])).to.deep.equal([true, true, true, true, true]);
    expect(commitAll(window, [1, 2, 3, 4, 5])).to.deep.equal([false, false, false, false, false]);
    expect(window.top).to.equal(5n);
  });

  it('refuses number 0: the first packet has number 1 (RFC 4303 section 2.2)', () => {
    expect(new ReplayWindow(32).check(0, 0)).to.equal(false);
    expect(new ReplayWindow(0).commit(0, 0)).to.equal(false);
  });

  it('rejects a number left of the window (RFC 4303 section 3.4.3)', () => {
    const window = new ReplayWindow(64);
    window.commit(0, 1000);
    expect(window.check(0, 936)).to.equal(false);
    expect(window.check(0, 937)).to.equal(true);
    expect(window.commit(0, 937)).to.equal(true);
    expect(window.commit(0, 937)).to.equal(false);
  });

  it('has exactly the configured width, also when that is no power of two', () => {
    for (const packets of [1, 4, 32, 33, 100, 1024, 4096]) {
      const window = new ReplayWindow(packets);
      window.commit(0, 10_000);
      expect(window.check(0, 10_000 - packets), `${packets}`).to.equal(false);
      if (packets > 1) expect(window.check(0, 10_000 - packets + 1), `${packets}`).to.equal(true);
    }
  });

  it('does not change in check, so that a forged number moves nothing', () => {
    const window = new ReplayWindow(64);
    window.commit(0, 10);
    const before = window.snapshot();
    expect(window.check(0, 0xffffffff)).to.equal(true);
    expect(window.check(5, 5)).to.equal(true);
    expect(window.check(0, 9)).to.equal(true);
    expect(window.snapshot()).to.deep.equal(before);
  });

  it('forgets nothing inside the window when it moves by less, and everything when it jumps', () => {
    const window = new ReplayWindow(64);
    commitAll(window, [10, 12]);
    window.commit(0, 70);
    expect([10, 11, 12].map((n) => window.check(0, n))).to.deep.equal([false, true, false]);
    window.commit(0, 5000);
    expect(window.check(0, 4999)).to.equal(true);
    expect(window.check(0, 4937)).to.equal(true);
  });

  it('crosses 2^32 with ESN', () => {
    const window = new ReplayWindow(128);
    expect(window.commit(0, 0xfffffff0)).to.equal(true);
    expect(window.commit(1, 3)).to.equal(true);
    expect(window.check(0, 0xfffffff0)).to.equal(false);
    expect(window.commit(0, 0xffffffff)).to.equal(true);
    expect(window.commit(1, 0)).to.equal(true); // low half 0 is a number like any other later on
    expect(window.commit(1, 0)).to.equal(false);
    expect(window.top).to.equal(0x1_0000_0003n);
  });

  it('is exact near 2^64', () => {
    const window = new ReplayWindow(64);
    expect(window.commit(0xffffffff, 0xffffffff)).to.equal(true);
    expect(window.commit(0xffffffff, 0xfffffffe)).to.equal(true);
    expect(window.commit(0xffffffff, 0xfffffffe)).to.equal(false);
    expect(window.check(0, 5)).to.equal(false);
    expect(window.top).to.equal((1n << 64n) - 1n);
  });

  it('accepts everything but 0 when the check is off', () => {
    const window = new ReplayWindow(0);
    expect(commitAll(window, [7, 7, 3])).to.deep.equal([true, true, true]);
    expect(window.top).to.equal(7n);
  });

  it('refuses a size that is no window', () => {
    for (const packets of [-1, 1.5, Number.NaN, 2 ** 21])
      expect(() => new ReplayWindow(packets)).to.throw(RangeError);
  });

  it('burns a number without moving the window', () => {
    const window = new ReplayWindow(64);
    window.commit(0, 100);
    expect(window.burn(0, 90)).to.equal(true);
    expect(window.check(0, 90)).to.equal(false);
    expect(window.burn(0, 3)).to.equal(true); // already refused: left of the window
    expect(window.burn(0, 101)).to.equal(false); // the caller must remember it
    expect(window.top).to.equal(100n);
    expect(window.check(0, 101)).to.equal(true);
  });

  it('refuses all up to a number and keeps what is above', () => {
    const window = new ReplayWindow(64);
    window.commit(0, 100);
    window.markAllUpTo(0, 95);
    expect([80, 95, 96, 99, 101].map((n) => window.check(0, n))).to.deep.equal([
      false,
      false,
      true,
      true,
      true,
    ]);
    window.markAllUpTo(0, 200);
    expect([150, 200, 201].map((n) => window.check(0, n))).to.deep.equal([false, false, true]);
    expect(window.top).to.equal(200n);
  });

  it('is after a run of numbers what it is after each of them', () => {
    const low = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 900, max: 1400 }));
    const run = fc.record({ low, count: fc.integer({ min: 0, max: 250 }) });
    const high = fc.constantFrom(0, 7);
    fc.assert(
      fc.property(fc.constantFrom(1, 33, 64, 200, 1024), high, fc.array(run), (packets, highHalf, runs) => {
        const [one, other] = [new ReplayWindow(packets), new ReplayWindow(packets)];
        for (const { low: first, count } of runs) {
          one.commitRun(highHalf, first, count);
          for (let n = 0; n < count; n++) other.commit(highHalf, first + n);
        }
        expect(one.snapshot()).to.deep.equal(other.snapshot());
      }),
    );
  });

  it('takes a run up to the last number below 2^32 and one beyond, and none without numbers', () => {
    const window = new ReplayWindow(64);
    window.commitRun(0, 0xffff_fff0, 16);
    window.commitRun(1, 0, 2);
    window.commitRun(9, 9, 0);
    expect(window.top).to.equal(0x1_0000_0001n);
    const before = [0xffff_ffef, 0xffff_fff0, 0xffff_ffff].map((n) => window.check(0, n));
    expect([...before, window.check(1, 1)]).to.deep.equal([true, false, false, false]);
  });

  describe('inferHigh (RFC 4303 appendix A2.2)', () => {
    const infer = (top: [number, number], low: number, packets = 64) => {
      const window = new ReplayWindow(packets);
      window.commit(top[0], top[1]);
      return window.inferHigh(low);
    };

    it('case A, the window in one subspace: lower than the window means the next subspace', () => {
      expect(infer([5, 1000], 1001)).to.equal(5);
      expect(infer([5, 1000], 937)).to.equal(5);
      expect(infer([5, 1000], 936)).to.equal(6);
      expect(infer([5, 0xfffffff0], 0xffffffff)).to.equal(5);
      expect(infer([5, 0xfffffff0], 0)).to.equal(6);
      expect(infer([5, 63], 0)).to.equal(5); // Tl = W - 1: the last of case A
    });

    it('case B, the window spans two subspaces: at its bottom or above means the one before', () => {
      expect(infer([5, 10], 11)).to.equal(5);
      expect(infer([5, 10], 0xffffffff)).to.equal(4);
      expect(infer([5, 10], 0x1_0000_0000 + 10 - 63)).to.equal(4);
      expect(infer([5, 10], 0x1_0000_0000 + 10 - 64)).to.equal(5);
      expect(infer([5, 62], 0xffffffff)).to.equal(4);
      expect(infer([1, 10], 0xffffffff)).to.equal(0);
    });

    it('has no subspace before the first', () => {
      expect(infer([0, 10], 0xfffffff0)).to.equal(0);
      expect(new ReplayWindow(64).inferHigh(1)).to.equal(0);
    });
  });
});
