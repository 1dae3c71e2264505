import type { PacketCrypto, StampMasker } from './packet-crypto.ts';
import type { PeekCipher } from './peek-cipher.ts';
import type { StampCrypto } from './stamp-crypto.ts';
import type { StampSealerOptions } from './stamp-sealer.ts';

/** The target's masker of one SA in one epoch. */
export interface SaMasker extends StampMasker {
  readonly epoch: number;
  /** The SA or the epoch is over. */
  close(): void;
}

/** Makes the masker of the SA in a slot. */
export type NewMasker = (saSlot: number, options: StampSealerOptions) => SaMasker;

/** What one library does for packets. Each call gives another one, without SAs. */
export interface PacketCryptos {
  newCrypto(): PacketCrypto;
  newPeekCipher(): PeekCipher;
  newStampCrypto(): StampCrypto;
  /** Of the SAs of one data plane, whose slots are numbered together. */
  newMaskers(): NewMasker;
}
