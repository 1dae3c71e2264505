import type { KeyMaterial } from '../base/key-material.ts';
import type { NewLinkCipher } from '../ipsec/link-cipher.ts';
import { LinkOpener, LinkSealer } from '../ipsec/link-seal.ts';

/**
 * The keys between this host and one other, over coupling sessions: each session brings new ones. The
 * newest seals; the one before still opens what is on its way, then its bytes are wiped.
 */
export class LinkKeys {
  readonly opener = new LinkOpener();
  #sealer: LinkSealer | undefined;
  #sealingKey: KeyMaterial | undefined;
  #opening: { readonly keyId: number; readonly key: KeyMaterial }[] = [];

  get sealer(): LinkSealer | undefined {
    return this.#sealer;
  }

  /** Takes the keys over. An old key that happens to have the same (random) id is forgotten. */
  install(keyId: number, sealing: KeyMaterial, opening: KeyMaterial, newCipher: NewLinkCipher): void {
    const same = this.#opening.findIndex((held) => held.keyId === keyId);
    if (same >= 0) this.#opening.unshift(...this.#opening.splice(same, 1));
    if (same >= 0) this.#forgetOldest();
    this.opener.install(newCipher({ keyId, key: opening }));
    this.#opening.push({ keyId, key: opening });
    if (this.#opening.length > 2) this.#forgetOldest();
    this.#sealingKey?.wipe();
    this.#sealingKey = sealing;
    this.#sealer = new LinkSealer(newCipher({ keyId, key: sealing }));
  }

  /** Wipes everything; nothing can be sealed or opened until the next `install`. */
  wipe(): void {
    this.#sealingKey?.wipe();
    this.#sealingKey = undefined;
    this.#sealer = undefined;
    while (this.#opening.length > 0) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#opening.shift();
    if (oldest === undefined) return;
    this.opener.remove(oldest.keyId);
    oldest.key.wipe();
  }
}
