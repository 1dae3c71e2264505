import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_HEADER_BYTES, ESP_TRAILER_BYTES, encodeEsp } from '../packet/esp-header.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { EspContext } from './esp-context.ts';
import { type EspPlace, protect, unprotect } from './esp-protection.ts';
import { paddingBytes, strippedBytes, writeTrailer } from './esp-trailer.ts';
import type { CryptoBatch, EspKeys, PacketCrypto, StampBatch, StampMasker } from './packet-crypto.ts';

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
 * ESP with node:crypto, every algorithm of `algorithms.ts`. The plain, portable implementation of `PacketCrypto`;
 * about 5 us a packet, since node makes a cipher object for each.
 */
export class EspNodeCrypto implements PacketCrypto {
  readonly #randomBytes: (bytes: number) => Buffer;
  readonly #contexts = new Map<number, EspContext>();
  #opened = 0;

  constructor(options: EspNodeCryptoOptions) {
    this.#randomBytes = options.randomBytes;
  }

  get opened(): number {
    return this.#opened;
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
      const verdict = sa === undefined ? UNKNOWN_SPI : openOne(sa, batch, i);
      if (verdict === KEEP || verdict === DUMMY) this.#opened++;
      batch.verdict[i] = verdict;
    }
  }

  seal(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const sa = this.#usable(batch.saSlot[i] as number);
      batch.verdict[i] = sa === undefined ? UNKNOWN_SPI : sealNumbered(sa, batch, i, this.#randomBytes);
    }
  }

  sealForStamp(batch: StampBatch, maskerOf: (saSlot: number) => StampMasker | undefined): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const saSlot = batch.saSlot[i] as number;
      const sa = this.#usable(saSlot);
      batch.verdict[i] = sa === undefined ? UNKNOWN_SPI : sealMasked(sa, batch, i, maskerOf(saSlot));
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
  // A block mode has no part of a block. Alignment to 4 bytes (section 2.4) protects nothing: it is not asked for.
  if (encryption.peek.method === 'cbc' && (icv - payload) % encryption.alignBytes !== 0) return MALFORMED;
  if (slab.readUInt32BE(start) !== sa.spi) return UNKNOWN_SPI;
  const low = slab.readUInt32BE(start + 4);
  const high = sa.hasEsn ? (batch.sequenceHigh[i] as number) : 0;
  if (!unprotect(sa, { slab, start, payload, icv, high, low })) return ICV;
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

type RandomBytes = EspNodeCryptoOptions['randomBytes'];

/** Seals packet `i` with its own number. */
function sealNumbered(sa: EspContext, batch: CryptoBatch, i: number, randomBytes: RandomBytes): Verdict {
  const high = batch.sequenceHigh[i] as number;
  const low = batch.sequenceLow[i] as number;
  // Number 0 is never sent (section 2.2), and without ESN there is nothing after 2^32 - 1 (section 3.3.3).
  if ((high === 0 && low === 0) || (high !== 0 && !sa.hasEsn)) return NO_NUMBER;
  return sealOne(sa, batch, i, { high, low }, randomBytes);
}

/** Seals packet `i` with number 0 and masks it. */
function sealMasked(sa: EspContext, batch: StampBatch, i: number, masker: StampMasker | undefined): Verdict {
  const { encryption, icvBytes } = sa.suite;
  if (encryption.canStamp !== true || masker?.isUsable !== true || masker.icvBytes !== icvBytes)
    return NO_NUMBER;
  const headroom = masker.headerBytes + ESP_HEADER_BYTES + encryption.ivBytes;
  if ((batch.offset[i] as number) < headroom) return TOO_BIG;
  const sealed = sealOne(sa, batch, i, UNNUMBERED, noRandomBytes);
  if (sealed !== KEEP) return sealed;
  let masked = NO_NUMBER;
  try {
    masked = masker.mask(batch, i);
  } finally {
    if (masked !== KEEP) wipe(batch, i);
  }
  return masked;
}

function wipe({ slab, offset, length }: CryptoBatch, i: number): void {
  const start = offset[i] as number;
  slab.fill(0, start, start + (length[i] as number));
}

const UNNUMBERED = { high: 0, low: 0 };

function noRandomBytes(): never {
  throw new Error('counter modes draw no IV');
}

/** Pads, encrypts and authenticates packet `i` in place (RFC 4303 section 3.3); the header goes in front. */
function sealOne(
  sa: EspContext,
  batch: CryptoBatch,
  i: number,
  { high, low }: Pick<EspPlace, 'high' | 'low'>,
  randomBytes: RandomBytes,
): Verdict {
  const { slab } = batch;
  const { encryption, icvBytes } = sa.suite;
  const payload = batch.offset[i] as number;
  const length = batch.length[i] as number;
  const padding = paddingBytes(length, encryption.alignBytes);
  const icv = payload + length + padding + ESP_TRAILER_BYTES;
  const start = payload - encryption.ivBytes - ESP_HEADER_BYTES;
  if (start < 0 || icv + icvBytes > slab.length) return TOO_BIG;
  const place: EspPlace = { slab, start, payload, icv, high, low };
  if (!writeIv(sa, place, batch.ivHigh[i] as number, batch.ivLow[i] as number, randomBytes)) return NO_NUMBER;
  encodeEsp(slab, start, sa.spi, low);
  writeTrailer(slab, payload + length, padding, batch.nextHeader[i] as number);
  protect(sa, place);
  batch.offset[i] = start;
  batch.length[i] = icv + icvBytes - start;
  return KEEP;
}

/** Writes the IV in front of the payload. False: it must be numbered, and nobody did. */
function writeIv(
  sa: EspContext,
  { slab, payload }: EspPlace,
  ivHigh: number,
  ivLow: number,
  randomBytes: RandomBytes,
): boolean {
  const { iv, ivBytes } = sa.suite.encryption;
  switch (iv) {
    case 'numbered':
      if (ivHigh === 0 && ivLow === 0) return false; // a nonce must never repeat
      slab.writeUInt32BE(ivHigh, payload - ivBytes);
      slab.writeUInt32BE(ivLow, payload - ivBytes + 4);
      return true;
    case 'random':
      slab.set(randomBytes(ivBytes), payload - ivBytes);
      return true;
    case 'none':
      return true;
  }
}
