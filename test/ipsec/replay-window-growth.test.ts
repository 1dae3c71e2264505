import { expect } from 'chai';
import * as fc from 'fast-check';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';

/** Numbers from the first one on, near the sizes that a ring has as it grows, and far ahead. */
const number = fc.oneof(
  fc.integer({ min: 1, max: 30 }),
  fc.integer({ min: 480, max: 540 }),
  fc.integer({ min: 1000, max: 1100 }),
  fc.integer({ min: 4000, max: 9000 }),
  fc.integer({ min: 1, max: 40_000 }),
);

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('commit' as const), number }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('burn' as const), number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('markAllUpTo' as const), number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('copy' as const), number }) },
);

/** What a window is, without a ring. */
class PlainWindow {
  readonly #refused = new Set<number>();
  readonly #packets: number;
  #top = 0;

  constructor(packets: number) {
    this.#packets = packets;
  }

  check(n: number): boolean {
    return n > 0 && n > this.#top - this.#packets && !this.#refused.has(n);
  }

  commit(n: number): boolean {
    if (!this.check(n)) return false;
    this.#refused.add(n);
    this.#top = Math.max(this.#top, n);
    return true;
  }

  burn(n: number): boolean {
    if (n > this.#top) return false;
    this.#refused.add(n);
    return true;
  }

  markAllUpTo(n: number): void {
    this.#top = Math.max(this.#top, n);
    for (let each = Math.max(1, n - this.#packets); each <= n; each++) this.#refused.add(each);
  }
}

describe('replay window that grows', () => {
  it('refuses what a plain list of numbers refuses, whatever is committed, burnt, passed over and handed over', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64, 512, 1000, 4096, 4160),
        fc.array(step, { maxLength: 60 }),
        fc.array(number, { minLength: 20, maxLength: 40 }),
        (packets, steps, asked) => {
          let window = new ReplayWindow(packets);
          const plain = new PlainWindow(packets);
          for (const { kind, number: n } of steps) {
            if (kind === 'commit') expect(window.commit(0, n), `commit ${n}`).to.equal(plain.commit(n));
            else if (kind === 'burn') expect(window.burn(0, n), `burn ${n}`).to.equal(plain.burn(n));
            else if (kind === 'markAllUpTo') {
              window.markAllUpTo(0, n);
              plain.markAllUpTo(n);
            } else {
              const snapshot = window.snapshot();
              window = new ReplayWindow(packets);
              window.restore(snapshot);
            }
          }
          for (const n of [...asked, ...steps.map((each) => each.number)])
            expect(window.check(0, n), `${n}`).to.equal(plain.check(n));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('remembers numbers beyond 2^32 from its first packet on', () => {
    const window = new ReplayWindow(4096);
    expect(window.commit(3, 5)).to.equal(true);
    expect(window.commit(3, 5)).to.equal(false);
    expect(window.commit(2, 0xffff_fff0)).to.equal(true);
    expect(window.commit(2, 0xffff_fff0)).to.equal(false);
    expect(window.check(2, 0xffff_ffff - 4096)).to.equal(false);
  });
});
