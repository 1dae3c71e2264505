import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto';
import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_HEADER_BYTES, ESP_TRAILER_BYTES, encodeEsp } from '../packet/esp-header.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { EspContext } from './esp-context.ts';
import { paddingBytes, strippedBytes, writeTrailer } from './esp-trailer.ts';
import { hmacIcv, isSameIcv } from './hmac-icv.ts';
import type { CryptoBatch, EspKeys, PacketCrypto } from './packet-crypto.ts';

const UNKNOWN_SPI = verdictOf('unknown-spi');
const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');
const ICV = verdictOf('icv');
const PADDING = verdictOf('padding');
const DUMMY = verdictOf('dummy');
const NO_NUMBER = verdictOf('no-number');
const TOO_BIG = verdictOf('too-big');

export interface EspNodeCryptoOptions {
  /** Unpredictable bytes for CBC IVs (RFC 3602 section 3). */
  readonly randomBytes: (bytes: number) => Buffer;
}

/**
 * ESP with node:crypto: AES-GCM (RFC 4106), AES-CBC (RFC 3602) with HMAC (RFC 4868). The plain, portable
 * implementation of `PacketCrypto`; about 5 us a packet, since node makes a cipher object for each.
 *
 * Plaintext reaches the slab only after the ICV proved right: node hands out decrypted bytes before it
 * checked the tag, so they are taken in a buffer of their own, and wiped if the check fails.
 */
export class EspNodeCrypto implements PacketCrypto {
  readonly #randomBytes: (bytes: number) => Buffer;
  readonly #contexts = new Map<number, EspContext>();

  constructor(options: EspNodeCryptoOptions) {
    this.#randomBytes = options.randomBytes;
  }

  install(saSlot: number, keys: EspKeys): void {
    this.#contexts.set(saSlot, new EspContext(keys));
  }

  remove(saSlot: number): void {
    this.#contexts.delete(saSlot);
  }

  open(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const sa = this.#usable(batch.saSlot[i] as number);
      batch.verdict[i] = sa === undefined ? UNKNOWN_SPI : openOne(sa, batch, i);
    }
  }

  seal(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const sa = this.#usable(batch.saSlot[i] as number);
      batch.verdict[i] = sa === undefined ? UNKNOWN_SPI : sealOne(sa, batch, i, this.#randomBytes);
    }
  }

  #usable(saSlot: number): EspContext | undefined {
    const context = this.#contexts.get(saSlot);
    return context?.isUsable === true ? context : undefined;
  }
}

/** Verifies and decrypts packet `i` in place, then strips the trailer (RFC 4303 section 3.4.4). */
function openOne(sa: EspContext, batch: CryptoBatch, i: number): Verdict {
  const { slab } = batch;
  const start = batch.offset[i] as number;
  const { encryption, icvBytes } = sa.suite;
  const payload = start + ESP_HEADER_BYTES + encryption.ivBytes;
  const icv = start + (batch.length[i] as number) - icvBytes;
  if (icv - payload < ESP_TRAILER_BYTES || icv + icvBytes > slab.length) return TRUNCATED;
  if (encryption.kind === 'cbc' && (icv - payload) % encryption.alignBytes !== 0) return MALFORMED;
  if (slab.readUInt32BE(start) !== sa.spi) return UNKNOWN_SPI;
  const low = slab.readUInt32BE(start + 4);
  const high = sa.hasEsn ? (batch.sequenceHigh[i] as number) : 0;
  const plain =
    encryption.kind === 'aead'
      ? decryptGcm(sa, slab, payload, icv, high, low)
      : decryptCbc(sa, slab, payload, icv, high);
  if (plain === undefined) return ICV;
  slab.set(plain, payload);
  plain.fill(0);
  batch.sequenceHigh[i] = high;
  batch.sequenceLow[i] = low;
  const length = strippedBytes(slab, payload, icv);
  if (length < 0) return PADDING;
  const nextHeader = slab[icv - 1] as number;
  batch.offset[i] = payload;
  batch.length[i] = length;
  batch.nextHeader[i] = nextHeader;
  return nextHeader === IP_PROTOCOL.NO_NEXT_HEADER ? DUMMY : KEEP;
}

/** The plaintext of `payload .. icv`, or undefined if the ICV behind it is wrong. */
function decryptGcm(
  sa: EspContext,
  slab: Buffer,
  payload: number,
  icv: number,
  high: number,
  low: number,
): Buffer | undefined {
  const { cipherName, encryption, icvBytes } = sa.suite;
  const nonce = sa.nonce(slab, payload - encryption.ivBytes);
  const decipher = createDecipheriv(cipherName as CipherGCMTypes, sa.key, nonce, { authTagLength: icvBytes });
  decipher.setAAD(sa.aad(high, low));
  decipher.setAuthTag(slab.subarray(icv, icv + icvBytes));
  const plain = decipher.update(slab.subarray(payload, icv));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}

/** As `decryptGcm`; the ICV is checked before anything is decrypted. */
function decryptCbc(
  sa: EspContext,
  slab: Buffer,
  payload: number,
  icv: number,
  high: number,
): Buffer | undefined {
  const { cipherName, encryption, integrity, icvBytes } = sa.suite;
  if (integrity === undefined) return undefined;
  const iv = payload - encryption.ivBytes;
  const covered = slab.subarray(iv - ESP_HEADER_BYTES, icv);
  const expected = hmacIcv(integrity, sa.integrityKey, covered, sa.impliedBytes(high));
  if (!isSameIcv(expected, slab.subarray(icv, icv + icvBytes))) return undefined;
  const decipher = createDecipheriv(cipherName, sa.key, slab.subarray(iv, payload)).setAutoPadding(false);
  const plain = decipher.update(slab.subarray(payload, icv));
  decipher.final();
  return plain;
}

/** Pads, encrypts and authenticates packet `i` in place (RFC 4303 section 3.3); the header goes in front. */
function sealOne(
  sa: EspContext,
  batch: CryptoBatch,
  i: number,
  randomBytes: (bytes: number) => Buffer,
): Verdict {
  const { slab } = batch;
  const { encryption, icvBytes } = sa.suite;
  const payload = batch.offset[i] as number;
  const length = batch.length[i] as number;
  const padding = paddingBytes(length, encryption.alignBytes);
  const icv = payload + length + padding + ESP_TRAILER_BYTES;
  const iv = payload - encryption.ivBytes;
  const start = iv - ESP_HEADER_BYTES;
  if (start < 0 || icv + icvBytes > slab.length) return TOO_BIG;
  const high = batch.sequenceHigh[i] as number;
  const low = batch.sequenceLow[i] as number;
  // Number 0 is never sent (section 2.2), and without ESN there is nothing after 2^32 - 1 (section 3.3.3).
  if ((high === 0 && low === 0) || (high !== 0 && !sa.hasEsn)) return NO_NUMBER;
  if (encryption.kind === 'aead') {
    const ivHigh = batch.ivHigh[i] as number;
    const ivLow = batch.ivLow[i] as number;
    if (ivHigh === 0 && ivLow === 0) return NO_NUMBER; // nobody numbered it; a nonce must never repeat
    slab.writeUInt32BE(ivHigh, iv);
    slab.writeUInt32BE(ivLow, iv + 4);
  } else {
    slab.set(randomBytes(encryption.ivBytes), iv);
  }
  encodeEsp(slab, start, sa.spi, low);
  writeTrailer(slab, payload + length, padding, batch.nextHeader[i] as number);
  if (encryption.kind === 'aead') encryptGcm(sa, slab, payload, icv, high, low);
  else encryptCbc(sa, slab, payload, icv, high);
  batch.offset[i] = start;
  batch.length[i] = icv + icvBytes - start;
  return KEEP;
}

function encryptGcm(
  sa: EspContext,
  slab: Buffer,
  payload: number,
  icv: number,
  high: number,
  low: number,
): void {
  const { cipherName, encryption, icvBytes } = sa.suite;
  const nonce = sa.nonce(slab, payload - encryption.ivBytes);
  const cipher = createCipheriv(cipherName as CipherGCMTypes, sa.key, nonce, { authTagLength: icvBytes });
  cipher.setAAD(sa.aad(high, low));
  slab.set(cipher.update(slab.subarray(payload, icv)), payload);
  cipher.final();
  slab.set(cipher.getAuthTag(), icv);
}

function encryptCbc(sa: EspContext, slab: Buffer, payload: number, icv: number, high: number): void {
  const { cipherName, encryption, integrity } = sa.suite;
  if (integrity === undefined) throw new Error('a CBC suite without integrity cannot be');
  const iv = payload - encryption.ivBytes;
  const cipher = createCipheriv(cipherName, sa.key, slab.subarray(iv, payload)).setAutoPadding(false);
  slab.set(cipher.update(slab.subarray(payload, icv)), payload);
  cipher.final();
  const covered = slab.subarray(iv - ESP_HEADER_BYTES, icv);
  slab.set(hmacIcv(integrity, sa.integrityKey, covered, sa.impliedBytes(high)), icv);
}
