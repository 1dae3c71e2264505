import { KEEP, verdictOf } from '../base/verdict.ts';
import type { PacketSink } from './ports.ts';
import { clampSyn, type SegmentFit } from './syn-mss.ts';
import type { PacketVector } from './vector.ts';

const LOOK_ALIKE = verdictOf('look-alike');

export interface InnerDeliveryOptions {
  readonly tun: PacketSink;
  /** Of an authenticated packet: false if its connection is another peer's that looks like this one. */
  readonly admits: (vector: PacketVector, i: number, group: number) => boolean;
  /** Authenticated packets, on their way to the application: for flow tracking. Inner columns are filled in. */
  readonly onAuthenticated: (vector: PacketVector, i: number, group: number) => void;
}

/** The last steps of a target's ways in: peers that look alike, flow tracking, TUN, count. For authenticated packets only. */
export class InnerDelivery {
  readonly #options: InnerDeliveryOptions;
  packets = 0;
  bytes = 0;

  constructor(options: InnerDeliveryOptions) {
    this.#options = options;
  }

  /** Packet `i` has passed every check. `fit`: what our answers may be as long as, if this host knows. */
  admit(vector: PacketVector, i: number, group: number, fit: SegmentFit | undefined): void {
    const { admits, onAuthenticated } = this.#options;
    if (!admits(vector, i, group)) {
      vector.verdict[i] = LOOK_ALIKE;
      return;
    }
    if (fit !== undefined) clampSyn(vector, i, fit);
    onAuthenticated(vector, i, group);
  }

  /**
   * The same for a packet that follows one which was admitted, of the same SA (`followsInSa`): no SYN, and flows have seen one like it just
   * now, of which another changes nothing.
   */
  admitAgain(vector: PacketVector, i: number, group: number): void {
    if (!this.#options.admits(vector, i, group)) vector.verdict[i] = LOOK_ALIKE;
  }

  /** Counts what the TUN took: it marks the others. */
  deliver(vector: PacketVector): void {
    this.packets += this.#options.tun.send(vector);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) this.bytes += vector.length[i] as number;
    }
  }
}
