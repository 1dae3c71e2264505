import { verdictOf } from '../base/verdict.ts';
import {
  checkLinkKey,
  LINK_KEY_BYTES,
  LINK_TAG_BYTES,
  type LinkBatch,
  type LinkCipher,
  type LinkKey,
} from '../ipsec/link-cipher.ts';
import type { Crew } from './crew.ts';
import { type NativeSas, nativeCrypto } from './native-crypto.ts';
import { SlotKeys } from './slot-keys.ts';

const AUTHENTICATION = verdictOf('link-authentication');
const MALFORMED = verdictOf('link-malformed');
const TOO_BIG = verdictOf('too-big');

/** In the addon's order (`verdict_name_t`): no key, truncated, malformed, tag; of ESP alone, three; no room, the library failed. */
const VERDICTS = Uint8Array.of(
  AUTHENTICATION,
  MALFORMED,
  MALFORMED,
  AUTHENTICATION,
  MALFORMED,
  MALFORMED,
  MALFORMED,
  TOO_BIG,
  AUTHENTICATION,
);
/** Each cipher has a table of its own. */
const SLOT = 0;
const KEY_ID_BYTES = 4;
const COUNTER_BYTES = 8;
const AEAD = 0;
const NUMBERED = 0;
const NOTHING = Buffer.alloc(0);

/** The link seal's cipher by the addon packet-crypto: the key schedule is kept, and a call does a whole vector. */
export class LinkNativeCipher implements LinkCipher {
  readonly keyId: number;
  readonly #native = nativeCrypto();
  readonly #table: NativeSas;
  readonly #keys: SlotKeys;

  constructor(library: 'openssl' | 'ipsec-mb', link: LinkKey, crew?: Crew) {
    checkLinkKey(link);
    this.keyId = link.keyId;
    this.#table = this.#native.create(library === 'ipsec-mb', VERDICTS, crew?.handle);
    this.#keys = new SlotKeys((slot) => this.#native.remove(this.#table, slot));
    this.#install(link);
    this.#keys.installed(SLOT, link.key);
  }

  get isUsable(): boolean {
    return this.#keys.has(SLOT);
  }

  seal(batch: LinkBatch, marked: Uint8Array, epoch: number): void {
    const { slab, offset, length, verdict, count } = batch;
    this.#native.linkSeal(this.#table, SLOT, slab, offset, length, verdict, marked, count, epoch);
  }

  open(batch: LinkBatch, marked: Uint8Array, epoch: number): void {
    const { slab, offset, length, verdict, count } = batch;
    this.#native.linkOpen(this.#table, SLOT, slab, offset, length, verdict, marked, count, epoch);
  }

  /** To the addon the key is an SA: the id is SPI and salt, the counter the IV. */
  #install({ keyId, key }: LinkKey): void {
    const noEsn = 0;
    const align = 4;
    const noMac = 0;
    const suite = Uint32Array.of(
      keyId,
      noEsn,
      AEAD,
      NUMBERED,
      COUNTER_BYTES,
      align,
      LINK_TAG_BYTES,
      noMac,
      LINK_KEY_BYTES,
    );
    const material = Buffer.alloc(LINK_KEY_BYTES + KEY_ID_BYTES);
    try {
      material.set(key.reveal());
      material.writeUInt32BE(keyId, LINK_KEY_BYTES);
      this.#native.install(this.#table, SLOT, suite, 'aes-256-gcm', '', material, NOTHING);
    } finally {
      material.fill(0);
    }
  }
}
