import { ELSEWHERE, KEEP, SENT, type Verdict } from '../base/verdict.ts';
import { ADDRESS_WORDS, type IpAddress } from '../packet/address.ts';
import type { PacketVector } from './vector.ts';

/**
 * Where packets can be captured, in the order of their ways. `opened`, `tun-out` and `tun-in` are plaintext.
 */
export const CAPTURE_POINTS = [
  'route/outside-in',
  'route/released',
  'route/link-out',
  'target/link-in',
  'target/opened',
  'target/tun-out',
  'target/tun-in',
  'target/sealed',
] as const;

export type CapturePoint = (typeof CAPTURE_POINTS)[number];

/** Plaintext that was protected, or will be. */
export const INNER_POINTS: ReadonlySet<CapturePoint> = new Set([
  'target/opened',
  'target/tun-out',
  'target/tun-in',
]);

/** What is known of a packet beyond its bytes. */
export interface TapSubject {
  readonly spi: number;
  /** The outer address of the other side; undefined: not known (yet). */
  readonly peer: IpAddress | undefined;
  readonly dvipa: IpAddress | undefined;
}

/** What is known of packet `i`; addresses may be views. */
export type DescribePacket = (vector: PacketVector, i: number) => TapSubject;

/** Somebody who captures. */
export interface TapListener {
  /** A packet at a point, and what became of it in the step behind it: `KEEP`, `SENT`, `ELSEWHERE`, or a reason to drop. */
  take(point: CapturePoint, bytes: Uint8Array, verdict: Verdict, subject: TapSubject): void;
}

/** Packets of a vector as they came to a way, until it is known what became of them. */
export interface Watched {
  readonly place: number;
  readonly copies: readonly Buffer[];
}

interface Seen {
  readonly place: number;
  readonly point: CapturePoint;
  readonly bytes: Buffer;
  readonly verdict: Verdict;
  readonly subject: TapSubject;
}

/**
 * Lets packets be watched at the borders of steps. The pipelines ask `isOn` once for a vector, and do nothing more while nobody
 * captures. Listeners get what is seen in the order of the ways: a packet that came in before what it became, though only then its
 * verdict is known.
 */
export class PacketTap {
  readonly #listeners = new Set<TapListener>();
  readonly #seen: Seen[] = [];
  #place = 0;
  /** Ways that are under way, one inside of another. */
  #depth = 0;
  isOn = false;

  add(listener: TapListener): void {
    this.#listeners.add(listener);
    this.isOn = true;
  }

  remove(listener: TapListener): void {
    this.#listeners.delete(listener);
    this.isOn = this.#listeners.size > 0;
  }

  /** A way begins: copies of all packets, before steps change them in their place. `judged` must follow. */
  watch(vector: PacketVector): Watched {
    // What columns say of the vector before is forgotten.
    vector.spi.fill(0, 0, vector.count);
    for (const column of [vector.outerSource, vector.innerSource, vector.innerDestination])
      column.fill(0, 0, vector.count * ADDRESS_WORDS);
    this.#depth++;
    const copies = Array.from({ length: vector.count }, (_, i) => Buffer.from(vector.packet(i)));
    return { place: this.#place++, copies };
  }

  /** The way has ended: what became of each packet. */
  judged(point: CapturePoint, { place, copies }: Watched, vector: PacketVector, of: DescribePacket): void {
    for (const [i, bytes] of copies.entries())
      this.#seen.push({
        place,
        point,
        bytes,
        verdict: vector.verdict[i] as Verdict,
        subject: kept(of(vector, i)),
      });
    if (--this.#depth === 0) this.#tell();
  }

  /** The packets that go on here, as they stand in the vector. */
  passing(point: CapturePoint, vector: PacketVector, of: DescribePacket): void {
    const place = this.#place++;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const bytes = Buffer.from(vector.packet(i));
      this.#seen.push({ place, point, bytes, verdict: KEEP, subject: kept(of(vector, i)) });
    }
    if (this.#depth === 0) this.#tell();
  }

  #tell(): void {
    const seen = this.#seen.splice(0).toSorted((a, b) => a.place - b.place);
    this.#place = 0;
    for (const { point, bytes, verdict, subject } of seen) {
      for (const listener of this.#listeners) listener.take(point, bytes, verdict, subject);
      bytes.fill(0);
    }
  }
}

/** Addresses in a vector are its own. */
function kept({ spi, peer, dvipa }: TapSubject): TapSubject {
  return { spi, peer: peer?.slice(), dvipa: dvipa?.slice() };
}

/** A verdict that is no reason to drop. */
export function isDrop(verdict: Verdict): boolean {
  return verdict !== KEEP && verdict !== SENT && verdict !== ELSEWHERE;
}
