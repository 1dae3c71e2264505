import { expect } from 'chai';
import * as fc from 'fast-check';
import { mergeSnapshots, snapshotRefuses } from '../../src/ipsec/replay-snapshot.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';

/** The slow, obvious window: every refused number in a set. */
class Oracle {
  top = 0n;
  readonly #refused = new Set<bigint>();
  readonly #packets: bigint;
  constructor(packets: number) {
    this.#packets = BigInt(packets);
  }
  check(number: bigint): boolean {
    return number > 0n && number > this.top - this.#packets && !this.#refused.has(number);
  }
  commit(number: bigint): boolean {
    if (!this.check(number)) return false;
    this.#refused.add(number);
    if (number > this.top) this.top = number;
    return true;
  }
  burn(number: bigint): void {
    if (number <= this.top) this.#refused.add(number);
  }
}

const high = (number: bigint) => Number(number >> 32n);
const low = (number: bigint) => Number(number & 0xffff_ffffn);

/** Steps relative to the top, so that all edges are met; a few large jumps. */
const step = fc.record({
  verb: fc.constantFrom('commit', 'commit', 'commit', 'check', 'burn', 'restore'),
  delta: fc.oneof(
    fc.integer({ min: -300, max: 40 }),
    fc.integer({ min: -5, max: 300 }),
    fc.integer({ min: 0, max: 2 ** 33 }),
  ),
});
const start = fc.constantFrom(
  1n,
  200n,
  0xffff_ff80n,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ff00n,
  0xffff_fff0_0000_0000n,
);
const size = fc.constantFrom(1, 4, 31, 32, 33, 64, 100, 128, 256);

describe('replay-window against a set of numbers', () => {
  it('agrees after any sequence of steps', () => {
    fc.assert(
      fc.property(size, start, fc.array(step, { maxLength: 200 }), (packets, first, steps) => {
        let window = new ReplayWindow(packets);
        const oracle = new Oracle(packets);
        window.commit(high(first), low(first));
        oracle.commit(first);
        for (const { verb, delta } of steps) {
          let number = oracle.top + BigInt(delta);
          if (number < 0n || number >= 1n << 64n) number = oracle.top;
          const args = [high(number), low(number)] as const;
          expect(window.check(...args)).to.equal(oracle.check(number));
          if (verb === 'commit') expect(window.commit(...args)).to.equal(oracle.commit(number));
          if (verb === 'burn') {
            window.burn(...args);
            oracle.burn(number);
          }
          if (verb === 'restore') {
            const snapshot = window.snapshot();
            window = new ReplayWindow(packets);
            window.restore(snapshot);
          }
          expect(window.top).to.equal(oracle.top);
        }
        for (let number = oracle.top + 2n; number > oracle.top - 300n && number > 0n; number--)
          if (number < 1n << 64n)
            expect(window.check(high(number), low(number))).to.equal(oracle.check(number));
      }),
      { seed: 4303, numRuns: 300 },
    );
  });

  it('infers the high half of every number that is less than 2^31 away and not left of the window', () => {
    const top = fc.bigInt({ min: 1n, max: (1n << 40n) - 1n });
    fc.assert(
      fc.property(size, top, fc.integer({ min: -256, max: 2 ** 31 }), (packets, at, delta) => {
        const number = at + BigInt(delta);
        fc.pre(number > 0n && number > at - BigInt(packets));
        const window = new ReplayWindow(packets);
        window.commit(high(at), low(at));
        expect(window.inferHigh(low(number))).to.equal(high(number));
      }),
      { seed: 4304, numRuns: 1000 },
    );
  });

  it('merges snapshots to the union of what they refuse', () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 60 });
    fc.assert(
      fc.property(size, size, numbers, numbers, (sizeA, sizeB, inA, inB) => {
        const [a, b] = [new ReplayWindow(sizeA), new ReplayWindow(sizeB)];
        for (const n of inA) a.commit(0, n);
        for (const n of inB) b.commit(0, n);
        const merged = mergeSnapshots(a.snapshot(), b.snapshot());
        for (let n = 1; n <= 401; n++) {
          const either = snapshotRefuses(a.snapshot(), BigInt(n)) || snapshotRefuses(b.snapshot(), BigInt(n));
          expect(snapshotRefuses(merged, BigInt(n)), `${n}`).to.equal(either);
        }
      }),
      { seed: 4305, numRuns: 200 },
    );
  });
});
