import type { OwnerState, SharedWay } from '../../ipsec/numbering-actions.ts';
import type { SendingWay } from '../../observe/snapshots.ts';

/** Changes of one SA are told no more often than this. */
const TOLD_MS = 10_000;

/** The way on which an outbound SA is sent, as people are shown it. */
export function sendingWay({
  state,
  sharedWay,
}: {
  readonly state: OwnerState;
  readonly sharedWay: SharedWay;
}): SendingWay {
  if (state.name === 'exclusive') return `exclusive:${state.target}`;
  return state.name === 'idle' || state.name === 'blocked' ? 'idle' : sharedWay;
}

/** How often the way of an outbound SA changed. That it is idle in between is no change, or each pause would be one. */
export class WayHistory {
  /** The last one that was not idle; idle: none yet. */
  way: SendingWay = 'idle';
  /** The first way is none. */
  changes = 0;
  #told = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** How many changes are to be told now; 0: none, or some were told a moment ago. */
  note(way: SendingWay, now: number): number {
    if (way !== 'idle' && way !== this.way) {
      if (this.way !== 'idle') this.changes++;
      this.way = way;
    }
    if (this.changes === this.#told || now - this.#toldAt < TOLD_MS) return 0;
    const untold = this.changes - this.#told;
    this.#told = this.changes;
    this.#toldAt = now;
    return untold;
  }
}
