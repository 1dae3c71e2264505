import { lifesizeBytes, parseLifesize, writeLifesize } from './lifesize-codec.ts';
import type { DvipaState, SaMarks, SaState } from './store.ts';

/**
 * What the store keeps, as bytes: a form for each kind, with a number for its version and a check sum, so that
 * bytes of another version, or half a write, are doubtful and never a wrong mark.
 *
 *     SA:    'S' | 1 | next sequence number (8) | next sender id (4) | check sum (4)     18 bytes
 *            'S' | 2 | the same two, 0 = none | lifesize (lifesize-codec.ts) | check sum (4)   at most 981 bytes
 *     DVIPA: 'D' | 1 | epoch (4) | check sum (4)                                         10 bytes
 *            'D' | 2 | epoch (4) | fingerprints of drained targets (8 each) | check sum (4)   at most 266 bytes
 *
 * Numbers are big endian; the check sum is FNV-1a over what stands before it.
 */
const SA_KIND = 0x53;
const DVIPA_KIND = 0x44;
const VERSION = 1;
const LIFESIZE_VERSION = 2;
const SA_BYTES = 18;
const LIFESIZE_AT = 14;
const CHECK_BYTES = 4;
const DVIPA_BYTES = 10;
const DRAINED_VERSION = 2;
const DRAINED_AT = 6;
const FINGERPRINT_BYTES = 8;
/** As many as a routing host may have targets. */
const DRAINED_MAX = 32;

const UINT32 = 0xffffffff;
const UINT64 = 0xffffffffffffffffn;

/** Throws RangeError for marks that cannot be: that is a fault of ours. */
export function encodeMarks(marks: SaMarks): Buffer {
  checkMarks(marks);
  const bytes = Buffer.alloc(SA_BYTES);
  bytes[0] = SA_KIND;
  bytes[1] = VERSION;
  bytes.writeBigUInt64BE(marks.nextSequence, 2);
  bytes.writeUInt32BE(marks.nextSenderId, 10);
  return seal(bytes);
}

/** All of an SA. Throws RangeError as `encodeMarks`. */
export function encodeSaState({ marks, lifesize }: SaState): Buffer {
  if (lifesize === undefined) return encodeMarks(marks ?? NO_MARKS);
  checkMarks(marks ?? NO_MARKS);
  const bytes = Buffer.alloc(LIFESIZE_AT + lifesizeBytes(lifesize) + CHECK_BYTES);
  bytes[0] = SA_KIND;
  bytes[1] = LIFESIZE_VERSION;
  bytes.writeBigUInt64BE(marks?.nextSequence ?? 0n, 2);
  bytes.writeUInt32BE(marks?.nextSenderId ?? 0, 10);
  writeLifesize(bytes, LIFESIZE_AT, lifesize);
  return seal(bytes);
}

/** Undefined: doubtful. Then nothing may be sent on that SA until it is rekeyed, nor dispatched if it is inbound. */
export function parseSaState(bytes: Buffer): SaState | undefined {
  if (bytes[1] !== LIFESIZE_VERSION) {
    if (!isSealed(bytes, SA_KIND, SA_BYTES)) return undefined;
    return { marks: readMarks(bytes) };
  }
  if (bytes.length < LIFESIZE_AT + CHECK_BYTES) return undefined;
  if (!isSealed(bytes, SA_KIND, bytes.length, LIFESIZE_VERSION)) return undefined;
  const lifesize = parseLifesize(bytes.subarray(0, -CHECK_BYTES), LIFESIZE_AT);
  return lifesize === undefined ? undefined : { marks: readMarks(bytes), lifesize };
}

export function encodeDvipaState(state: DvipaState): Buffer {
  checkDvipaState(state);
  const { epoch, drained = [] } = state;
  const bytes = Buffer.alloc(DVIPA_BYTES + drained.length * FINGERPRINT_BYTES);
  bytes[0] = DVIPA_KIND;
  bytes[1] = drained.length === 0 ? VERSION : DRAINED_VERSION;
  bytes.writeUInt32BE(epoch, 2);
  for (const [i, fingerprint] of drained.entries())
    bytes.write(fingerprint, DRAINED_AT + i * FINGERPRINT_BYTES, 'hex');
  return seal(bytes);
}

/** Undefined: doubtful. Then the epoch comes from what the targets report. */
export function parseDvipaState(bytes: Buffer): DvipaState | undefined {
  if (isSealed(bytes, DVIPA_KIND, DVIPA_BYTES)) return { epoch: bytes.readUInt32BE(2) };
  const count = (bytes.length - DVIPA_BYTES) / FINGERPRINT_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > DRAINED_MAX) return undefined;
  if (!isSealed(bytes, DVIPA_KIND, bytes.length, DRAINED_VERSION)) return undefined;
  const drained = Array.from({ length: count }, (_, i) => {
    const at = DRAINED_AT + i * FINGERPRINT_BYTES;
    return bytes.toString('hex', at, at + FINGERPRINT_BYTES);
  });
  return { epoch: bytes.readUInt32BE(2), drained };
}

/** Throws RangeError unless the marks fit their fields. */
export function checkMarks({ nextSequence, nextSenderId }: SaMarks): void {
  if (nextSequence < 0n || nextSequence > UINT64) throw new RangeError('next sequence number is not 64 bits');
  if (!isUint32(nextSenderId)) throw new RangeError('next sender id is not 32 bits');
}

/** Throws RangeError unless the state fits its fields. */
export function checkDvipaState({ epoch, drained = [] }: DvipaState): void {
  if (!isUint32(epoch)) throw new RangeError('epoch is not 32 bits');
  if (drained.length > DRAINED_MAX || !drained.every((each) => /^[0-9a-f]{16}$/.test(each)))
    throw new RangeError('drained targets are not at most 32 fingerprints');
}

const isUint32 = (value: number) => Number.isInteger(value) && value >= 0 && value <= UINT32;

function seal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(checkSum(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

/** 0 is no number that anything may have: it stands for no marks. */
const NO_MARKS: SaMarks = { nextSequence: 0n, nextSenderId: 0 };

function readMarks(bytes: Buffer): SaMarks | undefined {
  const nextSequence = bytes.readBigUInt64BE(2);
  const nextSenderId = bytes.readUInt32BE(10);
  return nextSequence === 0n && nextSenderId === 0 ? undefined : { nextSequence, nextSenderId };
}

function isSealed(bytes: Buffer, kind: number, length: number, version = VERSION): boolean {
  return (
    bytes.length === length &&
    bytes[0] === kind &&
    bytes[1] === version &&
    bytes.readUInt32BE(length - 4) === checkSum(bytes.subarray(0, -4))
  );
}

/** FNV-1a, 32 bits. */
function checkSum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
