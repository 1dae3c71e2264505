import type { LinkPackets } from './link-cipher.ts';
import type { StamperOptions } from './stamper.ts';

/** Packets that came to be stamped; a `PacketVector` is one. Those with `verdict[i] !== 0` are passed over. */
export interface StampedBatch extends LinkPackets {
  readonly count: number;
  readonly saSlot: Int32Array;
  /** In of `accept`: the id that the target that the packet came from has on its SA, 0 if it has none. */
  readonly senderId: Uint16Array;
  /** In of `stamp`: the number of each packet. */
  readonly sequenceHigh: Uint32Array;
  readonly sequenceLow: Uint32Array;
  readonly verdict: Uint8Array;
}

/**
 * The routing host's end of stamping on whole vectors, in two steps, since a packet may wait for its number in between: what
 * `Stamper` says of one packet. Two implementations: `StampNodeCrypto` and the addon packet-crypto.
 */
export interface StampCrypto {
  /** For an SA's whole life: in place of what the slot held, windows included. Throws unless the SA can be stamped and the keys fit. */
  install(saSlot: number, options: StamperOptions): void;
  /** Wipes what was made of the keys. Later packets of the slot get `stamp-check`. */
  remove(saSlot: number): void;
  /**
   * Which packets, that came under `epoch`, may be stamped: the others get a verdict. What is accepted is not accepted again, and stays
   * as it is.
   */
  accept(batch: StampedBatch, epoch: number): void;
  /** Gives accepted packets their numbers: offset and length become those of the ESP packet for the peer. A number is used up either way. */
  stamp(batch: StampedBatch): void;
}
