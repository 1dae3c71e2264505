import type { DropReason } from '../base/verdict.ts';

/** While packets go on being dropped for a reason, that is told again after so long. */
const TOLD_AGAIN_MS = 60_000;

/** Dropped by design: what a peer pads its traffic with. */
const NO_NEWS: ReadonlySet<string> = new Set<DropReason>(['dummy']);

export interface DropNews {
  readonly reason: string;
  /** Packets since this reason was told last, or since the agent started. */
  readonly count: number;
}

/** Which reasons packets are being dropped for: told when it starts, and once a minute while it goes on; never for each packet. */
export class DropWatch {
  readonly #told = new Map<string, { count: number; at: number }>();

  /** `counts` as they are now, absolute. Call it about once a second. */
  look(counts: Readonly<Record<string, number>>, now: number): DropNews[] {
    const news: DropNews[] = [];
    for (const [reason, count] of Object.entries(counts)) {
      const told = this.#told.get(reason) ?? { count: 0, at: Number.NEGATIVE_INFINITY };
      if (count === told.count || now - told.at < TOLD_AGAIN_MS || NO_NEWS.has(reason)) continue;
      news.push({ reason, count: count - told.count });
      this.#told.set(reason, { count, at: now });
    }
    return news;
  }
}
