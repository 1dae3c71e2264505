import { createCipheriv } from 'node:crypto';
import { cbcMac, lastBlock } from './aes-cmac.ts';

const BLOCK_BYTES = 16;

/**
 * AES-XCBC-MAC (RFC 3566), a mode over the library's AES-CBC: OpenSSL has none (ADR 12). Cut to 12 bytes it is
 * AES-XCBC-MAC-96. `cipherName` is AES in CBC mode; the result is the whole block.
 */
export function aesXcbc(cipherName: string, key: Buffer, message: Buffer): Buffer {
  // Unlike CMAC: the message is encrypted under a derived key, and two more are for the last block (section 4).
  const k1 = derived(cipherName, key, 1);
  const isWhole = message.length > 0 && message.length % BLOCK_BYTES === 0;
  const lastAt = isWhole ? message.length - BLOCK_BYTES : message.length - (message.length % BLOCK_BYTES);
  const subkey = derived(cipherName, key, isWhole ? 2 : 3);
  const last = lastBlock(message.subarray(lastAt), subkey);
  const mac = cbcMac(cipherName, k1, message.subarray(0, lastAt), last);
  for (const secret of [k1, subkey, last]) secret.fill(0);
  return mac;
}

/** AES of a block of equal bytes. */
function derived(cipherName: string, key: Buffer, byte: number): Buffer {
  const cipher = createCipheriv(cipherName, key, Buffer.alloc(BLOCK_BYTES)).setAutoPadding(false);
  const block = cipher.update(Buffer.alloc(BLOCK_BYTES, byte));
  cipher.final();
  return block;
}
