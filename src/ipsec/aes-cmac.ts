import { createCipheriv } from 'node:crypto';

export const BLOCK_BYTES = 16;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

/**
 * AES-CMAC (NIST SP 800-38B, RFC 4493), a mode over the library's AES-CBC: Node 20 has no CMAC of its own (ADR 12). Cut
 * to 12 bytes it is AES-CMAC-96 (RFC 4494). `cipherName` is AES in CBC mode; the result is the whole block.
 */
export function aesCmac(cipherName: string, key: Buffer, message: Buffer): Buffer {
  const zero = cbcMac(cipherName, key, Buffer.alloc(0), ZERO_BLOCK);
  const isWhole = message.length > 0 && message.length % BLOCK_BYTES === 0;
  const lastAt = isWhole ? message.length - BLOCK_BYTES : message.length - (message.length % BLOCK_BYTES);
  const { whole, part } = cmacSubkeys(zero);
  const last = lastBlock(message.subarray(lastAt), isWhole ? whole : part);
  const mac = cbcMac(cipherName, key, message.subarray(0, lastAt), last);
  for (const secret of [zero, whole, part, last]) secret.fill(0);
  return mac;
}

/** K1, for a last block that is whole, and K2, for a part of one, from the encrypted zero block (RFC 4493 section 2.3). */
export function cmacSubkeys(zero: Buffer): { readonly whole: Buffer; readonly part: Buffer } {
  const whole = doubled(zero);
  return { whole, part: doubled(whole) };
}

/** The last block of CBC over `head` (whole blocks) and `last`, with a zero IV. */
export function cbcMac(cipherName: string, key: Buffer, head: Buffer, last: Buffer): Buffer {
  const cipher = createCipheriv(cipherName, key, ZERO_BLOCK).setAutoPadding(false);
  cipher.update(head);
  const mac = cipher.update(last);
  cipher.final();
  return mac;
}

/** The last bytes of a message, filled up with 1 and zero bits if they are no block, xor a subkey. */
export function lastBlock(rest: Buffer, subkey: Buffer): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.set(rest);
  if (rest.length < BLOCK_BYTES) block[rest.length] = 0x80;
  for (let i = 0; i < BLOCK_BYTES; i++) block[i] = (block[i] as number) ^ (subkey[i] as number);
  return block;
}

/** Times x in GF(2^128) (RFC 4493 section 2.3), without a branch on the secret. */
function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    result[i] = ((block[i] as number) << 1) | ((block[i + 1] ?? 0) >>> 7);
  }
  result[BLOCK_BYTES - 1] = (result[BLOCK_BYTES - 1] as number) ^ (0x87 * ((block[0] as number) >>> 7));
  return result;
}
