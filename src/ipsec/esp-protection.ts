import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type AeadInput, openAead, sealAead } from './aead.ts';
import type { IntegrityAlgorithm } from './algorithms.ts';
import type { EspContext } from './esp-context.ts';
import { integrityIcv, isSameIcv } from './integrity-icv.ts';

/** Where the parts of one ESP packet lie in its slab, IV just before the payload; and the halves of its number. */
export interface EspPlace {
  readonly slab: Buffer;
  readonly start: number;
  readonly payload: number;
  readonly icv: number;
  readonly high: number;
  readonly low: number;
}

const NOTHING = Buffer.alloc(0);

/** Encrypts the payload in place and writes the ICV behind it. Header and IV are written already. */
export function protect(sa: EspContext, place: EspPlace): void {
  const { slab, payload, icv } = place;
  if (sa.suite.integrity !== undefined) {
    encrypt(sa, place);
    slab.set(icvOf(sa, sa.suite.integrity, place), icv);
    return;
  }
  const sealed = sealAead(sa.suite, aeadInput(sa, place));
  slab.set(sealed.ciphertext, payload);
  slab.set(sealed.icv, icv);
}

/**
 * Verifies, then decrypts the payload in place. False: the ICV is wrong, and the slab is as it was. OpenSSL hands out the
 * plaintext of an AEAD before it checked the tag: it is taken in a buffer of its own, and wiped.
 */
export function unprotect(sa: EspContext, place: EspPlace): boolean {
  const { slab, payload, icv } = place;
  const carried = slab.subarray(icv, icv + sa.suite.icvBytes);
  if (sa.suite.integrity !== undefined) {
    if (!isSameIcv(icvOf(sa, sa.suite.integrity, place), carried)) return false;
    decrypt(sa, place);
    return true;
  }
  const plain = openAead(sa.suite, aeadInput(sa, place), carried);
  if (plain === undefined) return false;
  slab.set(plain, payload);
  plain.fill(0);
  return true;
}

/** With GMAC the IV and what would be encrypted are additional data as well (RFC 4543 section 3.3). */
function aeadInput(sa: EspContext, { slab, payload, icv, high, low }: EspPlace): AeadInput {
  const { kind, ivBytes } = sa.suite.encryption;
  const ivAt = payload - ivBytes;
  const [key, nonce, aad] = [sa.key, sa.nonce(slab, ivAt), sa.aad(high, low)];
  return kind === 'gmac'
    ? { key, nonce, additional: [aad, slab.subarray(ivAt, icv)], text: NOTHING }
    : { key, nonce, additional: [aad], text: slab.subarray(payload, icv) };
}

function icvOf(sa: EspContext, integrity: IntegrityAlgorithm, place: EspPlace): Buffer {
  const { slab, start, icv, high } = place;
  return integrityIcv(integrity, sa.integrityKey, slab.subarray(start, icv), sa.impliedBytes(high));
}

function encrypt(sa: EspContext, { slab, payload, icv }: EspPlace): void {
  const { cipherName, encryption } = sa.suite;
  if (encryption.kind === 'null') return;
  const cipher = createCipheriv(cipherName, sa.key, sa.nonce(slab, payload - encryption.ivBytes));
  slab.set(cipher.setAutoPadding(false).update(slab.subarray(payload, icv)), payload);
  cipher.final();
}

function decrypt(sa: EspContext, { slab, payload, icv }: EspPlace): void {
  const { cipherName, encryption } = sa.suite;
  if (encryption.kind === 'null') return;
  const decipher = createDecipheriv(cipherName, sa.key, sa.nonce(slab, payload - encryption.ivBytes));
  const plain = decipher.setAutoPadding(false).update(slab.subarray(payload, icv));
  decipher.final();
  slab.set(plain, payload);
  plain.fill(0);
}
