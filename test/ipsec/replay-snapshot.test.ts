import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  EMPTY_SNAPSHOT,
  isReplaySnapshot,
  mergeSnapshots,
  snapshotRefuses,
} from '../../src/ipsec/replay-snapshot.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';

function windowOf(packets: number, numbers: number[]): ReplayWindow {
  const window = new ReplayWindow(packets);
  for (const number of numbers) window.commit(0, number);
  return window;
}

describe('replay-snapshot', () => {
  it('has bit i, lowest first, for the number top - i', () => {
    const { top, bitmap } = windowOf(32, [1, 5, 9, 10]).snapshot();
    expect(top).to.equal(10n);
    expect([...bitmap]).to.deep.equal([0b0010_0011, 0b0000_0010, 0, 0]);
  });

  it('restores into a window that refuses the same', () => {
    const from = windowOf(64, [100, 90, 80]);
    const into = windowOf(64, [7]);
    into.restore(from.snapshot());
    expect(into.snapshot()).to.deep.equal(from.snapshot());
    expect([100, 91, 90, 36, 37].map((n) => into.check(0, n))).to.deep.equal([
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  it('refuses what a shorter snapshot cannot know', () => {
    const into = new ReplayWindow(4096);
    into.restore(windowOf(32, [1000]).snapshot());
    expect(into.check(0, 969)).to.equal(true);
    expect(into.check(0, 968)).to.equal(false);
    expect(into.check(0, 1)).to.equal(false);
  });

  it('leaves a window fresh when restored from nothing', () => {
    const into = new ReplayWindow(64);
    into.restore(EMPTY_SNAPSHOT);
    expect(into.commit(0, 1)).to.equal(true);
  });

  it('merges to what refuses all that either refuses', () => {
    const merged = mergeSnapshots(windowOf(64, [100, 98]).snapshot(), windowOf(64, [99, 50]).snapshot());
    expect(merged.top).to.equal(100n);
    const refused = [100n, 99n, 98n, 97n, 50n, 49n, 37n, 36n].map((n) => snapshotRefuses(merged, n));
    expect(refused).to.deep.equal([true, true, true, false, true, false, false, true]);
  });

  it('merges any two, on either side of the other, to exactly what either refuses', () => {
    const snapshot = fc.record({
      top: fc.oneof(fc.bigInt(0n, 80n), fc.bigInt(0n, (1n << 64n) - 1n)),
      bitmap: fc.uint8Array({ maxLength: 12 }),
    });
    fc.assert(
      fc.property(snapshot, snapshot, fc.bigInt(1n, 200n), (a, b, back) => {
        const merged = mergeSnapshots(a, b);
        const number = merged.top - back + 1n;
        if (number < 1n || back > BigInt(merged.bitmap.length * 8)) return;
        expect(snapshotRefuses(merged, number)).to.equal(
          snapshotRefuses(a, number) || snapshotRefuses(b, number),
        );
      }),
    );
  });

  it('merges with nothing to the same', () => {
    const snapshot = windowOf(64, [100, 98]).snapshot();
    expect(mergeSnapshots(snapshot, EMPTY_SNAPSHOT).top).to.equal(100n);
    expect(snapshotRefuses(mergeSnapshots(EMPTY_SNAPSHOT, snapshot), 99n)).to.equal(false);
  });

  it('checks what came from outside', () => {
    expect(isReplaySnapshot({ top: 5n, bitmap: new Uint8Array(8) }, 64)).to.equal(true);
    expect(isReplaySnapshot({ top: 5n, bitmap: new Uint8Array(9) }, 64)).to.equal(false);
    expect(isReplaySnapshot({ top: -1n, bitmap: new Uint8Array(8) }, 64)).to.equal(false);
    expect(isReplaySnapshot({ top: 1n << 64n, bitmap: new Uint8Array(8) }, 64)).to.equal(false);
  });
});
