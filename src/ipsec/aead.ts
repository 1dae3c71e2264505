import {
  type CipherCCMTypes,
  type CipherChaCha20Poly1305Types,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
} from 'node:crypto';
import type { EspSuite } from './algorithms.ts';

/*
 * One message through an AEAD of node:crypto: AES-GCM (RFC 4106), AES-CCM (RFC 4309), ChaCha20-Poly1305 (RFC 7634) and
 * AES-GMAC, which is GCM with nothing to encrypt (RFC 4543).
 */

// One of the three families; the options are the same (CCM alone wants the length ahead of the additional data).
type AeadName = CipherCCMTypes & CipherGCMTypes & CipherChaCha20Poly1305Types;

export interface AeadInput {
  readonly key: Buffer;
  readonly nonce: Buffer;
  /** Authenticated, in this order, before the text. */
  readonly additional: readonly Uint8Array[];
  /** Plaintext to seal, ciphertext to open. */
  readonly text: Uint8Array;
}

/** Ciphertext and ICV. */
export function sealAead(suite: EspSuite, input: AeadInput): { ciphertext: Buffer; icv: Buffer } {
  const cipher = createCipheriv(suite.cipherName as AeadName, input.key, input.nonce, {
    authTagLength: suite.icvBytes,
  });
  addAdditional(cipher, input);
  const ciphertext = cipher.update(input.text);
  cipher.final();
  return { ciphertext, icv: cipher.getAuthTag() };
}

/** The plaintext, which the caller wipes; undefined if the ICV, cut to the suite's length, is wrong. */
export function openAead(suite: EspSuite, input: AeadInput, icv: Uint8Array): Buffer | undefined {
  const decipher = createDecipheriv(suite.cipherName as AeadName, input.key, input.nonce, {
    authTagLength: suite.icvBytes,
  });
  decipher.setAuthTag(icv);
  addAdditional(decipher, input);
  const plain = decipher.update(input.text);
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}

interface TakesAdditional {
  setAAD(bytes: Uint8Array, options: { plaintextLength: number }): unknown;
}

/** In one call: CCM takes no second one. */
function addAdditional(cipher: TakesAdditional, { additional, text }: AeadInput): void {
  const [only, ...more] = additional;
  const all = more.length === 0 && only !== undefined ? only : Buffer.concat(additional);
  cipher.setAAD(all, { plaintextLength: text.length });
}
