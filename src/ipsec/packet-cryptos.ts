import type { NewLinkCipher } from './link-cipher.ts';
import type { PacketCrypto, SaMasker } from './packet-crypto.ts';
import type { PeekCipher } from './peek-cipher.ts';
import type { StampCrypto } from './stamp-crypto.ts';
import type { StampSealerOptions } from './stamp-sealer.ts';

/** Makes the masker of the SA in a slot. */
export type NewMasker = (saSlot: number, options: StampSealerOptions) => SaMasker;

/** What one library does for packets. Each call gives another one, without SAs. */
export interface PacketCryptos {
  readonly newCrypto: () => PacketCrypto;
  readonly newPeekCipher: () => PeekCipher;
  readonly newStampCrypto: () => StampCrypto;
  /** Of the SAs of one data plane, whose slots are numbered together. */
  readonly newMaskers: () => NewMasker;
  readonly newLinkCipher: NewLinkCipher;
}
