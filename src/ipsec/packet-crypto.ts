import type { KeyMaterial } from '../base/key-material.ts';
import type { Verdict } from '../base/verdict.ts';

/**
 * The batch interface of ESP cryptography. Two implementations: `EspNativeCrypto` (`src/io`: an addon over OpenSSL or
 * intel-ipsec-mb), which agents use, and `EspNodeCrypto` (node:crypto), which says what is right. Both work in place on one
 * slab, with parallel typed arrays.
 */
export interface CryptoBatch {
  /** Packets 0 .. count-1 are in the batch; those with `verdict[i] !== 0` are passed over. */
  readonly count: number;
  readonly slab: Buffer;
  /** In: where the packet (open: SPI .. ICV; seal: the plaintext) starts and how long it is. Out: the result. */
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
  /** Index under which the SA's keys were installed. */
  readonly saSlot: Int32Array;
  readonly sequenceHigh: Uint32Array;
  readonly sequenceLow: Uint32Array;
  /** Seal only: the 64-bit IV (sender id | counter) where it is numbered (all but CBC, which draws its own, and NULL). */
  readonly ivHigh: Uint32Array;
  readonly ivLow: Uint32Array;
  /** Open: out, from the ESP trailer. Seal: in. */
  readonly nextHeader: Uint8Array;
  /** Out: the drop reason (`icv`, `padding`, `truncated` ...), or left as it was. */
  readonly verdict: Uint8Array;
}

/** A `SecurityAssociation` is one. The key material stays the caller's: wiped, it makes the slot unusable. */
export interface EspKeys {
  /** Goes into sealed packets; a packet to open must carry it (a slot mixed up must not go unseen). */
  readonly spi: number;
  readonly encryption: { readonly transform: number; readonly key: KeyMaterial };
  readonly integrity?: { readonly transform: number; readonly key: KeyMaterial };
  readonly hasEsn: boolean;
}

/** The same with what the outer header takes from the inner one: the stamper, which makes it, sees nothing of that. */
export interface StampBatch extends CryptoBatch {
  readonly trafficClass: Uint8Array;
  readonly hopLimit: Uint8Array;
  /** 0 or 1. */
  readonly dontFragment: Uint8Array;
}

/** Maskers of several SAs, which mask together. */
export interface StampMaskBatch {
  /** Masks every packet with verdict 0, each with the masker of its slot, as `StampMasker.mask` does; overwrites those that it refuses. */
  mask(batch: StampBatch): void;
}

/** Hides the ICV of a packet that has no number yet (`StampSealer`). */
export interface StampMasker {
  /** What `mask` puts in front. */
  readonly headerBytes: number;
  /** Must be the SA's. */
  readonly icvBytes: number;
  /** False once a key was wiped. */
  readonly isUsable: boolean;
  /** If there is one: this masker and its others. */
  readonly together?: StampMaskBatch;
  /** Masks ESP packet `i` in place: offset and length become those of the packet for the routing host. */
  mask(batch: StampBatch, i: number): Verdict;
}

/** The target's masker of one SA in one epoch. */
export interface SaMasker extends StampMasker {
  readonly epoch: number;
  /** The SA or the epoch is over. */
  close(): void;
}

export interface PacketCrypto {
  /** Packets opened: the ICV and the trailer were right. Dummies count. */
  readonly opened: number;
  /** Prepares contexts for an SA, in place of what the slot held. Throws if the algorithm is not supported: ask `algorithms.ts` first. */
  install(saSlot: number, keys: EspKeys): void;
  /** Drops contexts; later packets for the slot get `unknown-spi`. */
  remove(saSlot: number): void;
  /**
   * RFC 4303 section 3.4.4: verifies, decrypts, strips padding. Nothing is released with a bad ICV. Reads
   * `sequenceHigh` (ESN only) and writes both halves of the number that was authenticated: commit those.
   */
  open(batch: CryptoBatch): void;
  /** RFC 4303 section 3.3: pads to 4 bytes or the block, encrypts, authenticates. Needs 24 bytes headroom, 49 tailroom (else `too-big`). */
  seal(batch: CryptoBatch): void;
  /**
   * Seals with number 0 and masks in one step, for the routing host to stamp: so no packet with that number is ever there unmasked, whatever
   * happens to the vector afterwards. The numbers of the batch do not count. `no-number` for an SA without a masker, or whose algorithm cannot be
   * stamped. Needs the masker's headroom on top of what `seal` needs.
   */
  sealForStamp(batch: StampBatch, maskerOf: (saSlot: number) => StampMasker | undefined): void;
}
