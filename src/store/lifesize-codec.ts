import { type AccountMark, type LifesizeMarks, MAX_ACCOUNT_MARKS } from '../ipsec/lifesize-marks.ts';
import type { LifesizeCredit } from '../ipsec/lifesize-meter.ts';

/**
 * An SA's lifesize as bytes, big endian; a total is a float64 that holds an integer:
 *
 *     percentage * 100 (2) | p99 of rekeys in ms (4) | closed: charged bytes, packets, reported bytes, packets (8 each)
 *     | accounts (1) | of each: tag of its user (4), incarnation (8), credit in bytes, packets (8 each)
 */
const HEAD_BYTES = 39;
const ACCOUNT_BYTES = 28;
const UINT16 = 0xffff;
const UINT32 = 0xffffffff;

export function lifesizeBytes({ accounts }: LifesizeMarks): number {
  return HEAD_BYTES + accounts.length * ACCOUNT_BYTES;
}

/** Writes it at `at`; throws RangeError for marks that cannot be: that is a fault of ours. */
export function writeLifesize(bytes: Buffer, at: number, lifesize: LifesizeMarks): void {
  checkLifesize(lifesize);
  const { percentage, rekeyMs, closedCharged, closedReported, accounts } = lifesize;
  bytes.writeUInt16BE(Math.round(percentage * 100), at);
  bytes.writeUInt32BE(Math.round(rekeyMs), at + 2);
  writePair(bytes, at + 6, closedCharged);
  writePair(bytes, at + 22, closedReported);
  bytes[at + 38] = accounts.length;
  let next = at + HEAD_BYTES;
  for (const { tag, incarnation, credit } of accounts) {
    bytes.writeUInt32BE(tag, next);
    bytes.writeBigUInt64BE(incarnation, next + 4);
    writePair(bytes, next + 12, credit);
    next += ACCOUNT_BYTES;
  }
}

/** All of `bytes` from `at` on; undefined: doubtful. */
export function parseLifesize(bytes: Buffer, at: number): LifesizeMarks | undefined {
  if (bytes.length < at + HEAD_BYTES) return undefined;
  const count = bytes[at + 38] as number;
  if (count > MAX_ACCOUNT_MARKS || bytes.length !== at + HEAD_BYTES + count * ACCOUNT_BYTES) return undefined;
  const accounts: AccountMark[] = [];
  for (let i = 0, next = at + HEAD_BYTES; i < count; i++, next += ACCOUNT_BYTES) {
    accounts.push({
      tag: bytes.readUInt32BE(next),
      incarnation: bytes.readBigUInt64BE(next + 4),
      credit: readPair(bytes, next + 12),
    });
  }
  const lifesize: LifesizeMarks = {
    percentage: bytes.readUInt16BE(at) / 100,
    rekeyMs: bytes.readUInt32BE(at + 2),
    closedCharged: readPair(bytes, at + 6),
    closedReported: readPair(bytes, at + 22),
    accounts,
  };
  return pairsOf(lifesize).every(isPair) ? lifesize : undefined;
}

/** Throws RangeError unless the marks fit their fields. */
export function checkLifesize(lifesize: LifesizeMarks): void {
  const { percentage, rekeyMs, accounts } = lifesize;
  if (!(percentage >= 0 && percentage * 100 <= UINT16)) throw new RangeError('percentage is not 16 bits');
  if (!(rekeyMs >= 0 && rekeyMs <= UINT32)) throw new RangeError('rekey time is not 32 bits');
  if (accounts.length > MAX_ACCOUNT_MARKS) throw new RangeError('too many accounts');
  if (!pairsOf(lifesize).every(isPair)) throw new RangeError('a total is not below 2^53');
}

function pairsOf({ closedCharged, closedReported, accounts }: LifesizeMarks): LifesizeCredit[] {
  return [closedCharged, closedReported, ...accounts.map(({ credit }) => credit)];
}

function isPair({ bytes, packets }: LifesizeCredit): boolean {
  return [bytes, packets].every((total) => Number.isSafeInteger(total) && total >= 0);
}

function writePair(bytes: Buffer, at: number, { bytes: total, packets }: LifesizeCredit): void {
  bytes.writeDoubleBE(total, at);
  bytes.writeDoubleBE(packets, at + 8);
}

function readPair(bytes: Buffer, at: number): LifesizeCredit {
  return { bytes: bytes.readDoubleBE(at), packets: bytes.readDoubleBE(at + 8) };
}
