import { SILENCE_MS } from '../../../src/ipsec/numbering-constants.ts';
import { espIn } from '../../../src/lab/esp-repeats.ts';
import type { PcapFile } from '../../../src/lab/pcap.ts';

/** Numbers of an SA that nobody saw, one after the other, between two that were seen. */
export interface Gap {
  readonly first: number;
  readonly count: number;
  /** Nothing was sent on the SA for so long between the numbers before and those behind; negative: they overlap. */
  readonly silenceMs: number;
}

/** What an observer saw of one SA. */
export interface EspNumbers {
  /** `destination spi`, as in `EspUse`. */
  readonly sa: string;
  readonly destination: string;
  readonly packets: number;
  readonly gaps: readonly Gap[];
  /** How far a packet came behind the highest number seen before it: what a window must take. */
  readonly skew: number;
}

/**
 * Numbers that are missing though nothing was silent before them. Those behind a silence are the rest of a lease that nobody gave back,
 * burnt: no packet ever had them, and the owner sends nothing for 20 ms before it goes on behind them (docs/outbound.md, section 6).
 */
export function lostNumbers(gaps: readonly Gap[]): readonly Gap[] {
  return gaps.filter(({ silenceMs }) => silenceMs < SILENCE_MS);
}

/** The sequence numbers of each SA in a capture: numbers that are missing, and how far out of order they came. */
export function espNumbers(capture: PcapFile): EspNumbers[] {
  const arrivals = new Map<string, { destination: string; seen: [sequence: number, atUs: number][] }>();
  for (const { bytes, atUs } of capture.packets) {
    const esp = espIn(bytes);
    if (esp === undefined) continue;
    const sa = `${esp.destination} ${esp.spi.toString(16).padStart(8, '0')}`;
    const found = arrivals.get(sa) ?? { destination: esp.destination, seen: [] };
    found.seen.push([esp.sequence, atUs]);
    arrivals.set(sa, found);
  }
  return [...arrivals].map(([sa, { destination, seen }]) => {
    let highest = 0;
    let skew = 0;
    for (const [sequence] of seen) {
      skew = Math.max(skew, highest - sequence);
      highest = Math.max(highest, sequence);
    }
    return { sa, destination, packets: seen.length, gaps: gapsOf(seen), skew };
  });
}

function gapsOf(seen: readonly (readonly [sequence: number, atUs: number])[]): Gap[] {
  const ordered = seen.toSorted(([a], [b]) => a - b);
  // The earliest arrival of this number or a higher one.
  const earliest: number[] = [];
  let atUs = Number.POSITIVE_INFINITY;
  for (let i = ordered.length - 1; i >= 0; i--) {
    atUs = Math.min(atUs, ordered[i]?.[1] ?? atUs);
    earliest[i] = atUs;
  }
  const gaps: Gap[] = [];
  // An SA may be older than the capture.
  let next = ordered[0]?.[0] ?? 1;
  let latest = Number.NEGATIVE_INFINITY;
  for (const [i, [sequence, seenAt]] of ordered.entries()) {
    if (sequence > next) {
      const silenceMs = ((earliest[i] ?? 0) - latest) / 1000;
      gaps.push({ first: next, count: sequence - next, silenceMs });
    }
    next = sequence + 1;
    latest = Math.max(latest, seenAt);
  }
  return gaps;
}
