import { expect } from 'chai';
import * as fc from 'fast-check';
import { StampWindow, StampWindows } from '../../src/ipsec/stamp-window.ts';

describe('stamp-window', () => {
  it('takes every counter once, in any order within 64 packets', () => {
    const window = new StampWindow();
    expect(window.mark(1)).to.equal(true);
    expect(window.mark(65)).to.equal(true);
    expect(window.mark(1), 'left of the window').to.equal(false);
    for (let counter = 2; counter <= 64; counter++) expect(window.mark(counter)).to.equal(true);
    for (let counter = 1; counter <= 65; counter++) expect(window.mark(counter)).to.equal(false);
  });

  it('refuses what is no counter of 48 bits', () => {
    const window = new StampWindow();
    for (const none of [0, -1, 1.5, 2 ** 48, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(window.mark(none), `${none}`).to.equal(false);
    }
    expect(window.mark(2 ** 48 - 1)).to.equal(true);
    expect(window.mark(2 ** 48 - 1)).to.equal(false);
    expect(window.mark(2 ** 48 - 2)).to.equal(true);
  });

  const delta = fc.oneof(
    fc.integer({ min: -70, max: 3 }),
    fc.integer({ min: -3, max: 70 }),
    fc.constantFrom(31, 32, 33, 63, 64, 65, 2 ** 32, 2 ** 40),
  );

  it('agrees with a set of all counters, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 70, 2 ** 31, 2 ** 32 - 20, 2 ** 46),
        fc.array(delta),
        (first, deltas) => {
          const [window, seen] = [new StampWindow(), new Set<number>()];
          let top = 0;
          for (const step of [first, ...deltas]) {
            const counter = Math.min(top + step, 2 ** 48 - 1);
            const isFresh = counter >= 1 && counter > top - 64 && !seen.has(counter);
            expect(window.mark(counter), `${counter} of top ${top}`).to.equal(isFresh);
            if (!isFresh) continue;
            seen.add(counter);
            top = Math.max(top, counter);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('stamp-windows', () => {
  it('keeps one window for each sender id, and refuses what is none', () => {
    const windows = new StampWindows();
    expect(windows.mark(1, 5)).to.equal(true);
    expect(windows.mark(2, 5)).to.equal(true);
    expect(windows.mark(65_535, 5)).to.equal(true);
    expect(windows.mark(1, 5)).to.equal(false);
    for (const none of [0, -1, 65_536, 1.5]) expect(windows.mark(none, 1), `${none}`).to.equal(false);
  });
});
