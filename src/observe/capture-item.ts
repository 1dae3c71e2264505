import type { CapturePoint } from '../dataplane/packet-tap.ts';

/** One packet of a capture, as the admin socket streams it. */
export interface CaptureItem {
  readonly point: CapturePoint;
  /** Nanoseconds since 1970, decimal. */
  readonly time: string;
  /** Base64; what is beyond the snap length is left out. */
  readonly bytes: string;
  /** Of the whole packet. */
  readonly length: number;
  /** What became of it: `dropped: filter`, `held`; undefined: it goes on. */
  readonly comment?: string | undefined;
  /** Packets that this capture has lost so far, at any point. */
  readonly lost: number;
}

/** What becomes of a captured packet, in its comment. */
export const DROPPED = 'dropped: ';
