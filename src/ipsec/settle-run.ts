import type { ReplayWindow } from './replay-window.ts';
import type { UnsettledRing } from './unsettled-ring.ts';

/**
 * Settles those of `count` numbers from this one on (all with one high half) that `owner` was given by a dispatch above `floor`, and marks
 * them in the window. Returns how many these are; the others are left as they are.
 */
export function settleRun(
  ring: UnsettledRing,
  window: ReplayWindow,
  high: number,
  low: number,
  count: number,
  owner: number,
  floor: number,
): number {
  let settled = 0;
  /** Just before the number looked at: settled, and not marked yet. */
  let run = 0;
  for (let n = 0; n < count; n++) {
    if (ring.settle(high, low + n, owner, floor)) {
      run++;
      continue;
    }
    window.commitRun(high, low + n - run, run);
    settled += run;
    run = 0;
  }
  window.commitRun(high, low + count - run, run);
  return settled + run;
}
