import {
  LAST_SENDER_ID,
  LAST_SEQUENCE,
  LAST_SEQUENCE_ESN,
  SENDER_ID_BLOCK,
  SEQUENCE_BLOCK,
  STORE_RETRY_MAX_MS,
  STORE_RETRY_MS,
} from './numbering-constants.ts';

/** What the store keeps of one outbound SA: nothing at or above these values was ever used. */
export interface Marks {
  readonly nextSequence: bigint;
  readonly nextSenderId: number;
}

/** How far the marks are stored ahead. */
export interface MarkBlocks {
  readonly sequences: number;
  readonly senderIds: number;
}

export const STANDARD_BLOCKS: MarkBlocks = { sequences: SEQUENCE_BLOCK, senderIds: SENDER_ID_BLOCK };

/** Where a new SA starts: numbers from 1 (RFC 4303 section 2.2), ids from 1 (0 is the owner itself). */
const START = { sequence: 1, senderId: 1 };

/**
 * The write-ahead of numbers and sender ids: they are taken only below marks that the store has
 * acknowledged. Marks go forward in blocks, so the store is asked seldom and a crash burns one block.
 * One write is in flight at a time; a failed one is repeated with back-off, and meanwhile the rest of
 * the old block is all there is (fail closed).
 */
export class NumberingMarks {
  readonly #lastSequence: number;
  readonly #blocks: MarkBlocks;
  #nextSequence: number;
  #storedSequence: number;
  #nextSenderId: number;
  #storedSenderId: number;
  #inFlight: Marks | undefined;
  #retryAt = Number.NEGATIVE_INFINITY;
  #retryMs = STORE_RETRY_MS;

  private constructor(sequence: number, senderId: number, hasEsn: boolean, blocks: MarkBlocks) {
    this.#blocks = blocks;
    this.#lastSequence = hasEsn ? LAST_SEQUENCE_ESN : LAST_SEQUENCE;
    this.#nextSequence = sequence;
    this.#storedSequence = sequence;
    this.#nextSenderId = senderId;
    this.#storedSenderId = senderId;
  }

  static forNewSa(hasEsn: boolean, blocks = STANDARD_BLOCKS): NumberingMarks {
    return new NumberingMarks(START.sequence, START.senderId, hasEsn, blocks);
  }

  /** Undefined if the marks cannot be believed: then nothing is sent on the SA until it is rekeyed. */
  static restore(
    marks: Marks | undefined,
    hasEsn: boolean,
    blocks = STANDARD_BLOCKS,
  ): NumberingMarks | undefined {
    if (marks === undefined) return undefined;
    const last = hasEsn ? LAST_SEQUENCE_ESN : LAST_SEQUENCE;
    if (marks.nextSequence < 1n || marks.nextSequence > BigInt(last) + 1n) return undefined;
    const id = marks.nextSenderId;
    if (!Number.isSafeInteger(id) || id < 1 || id > LAST_SENDER_ID + 1) return undefined;
    return new NumberingMarks(Number(marks.nextSequence), id, hasEsn, blocks);
  }

  /** The next number; never used so far. Goes back only by `giveBack`. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  get nextSenderId(): number {
    return this.#nextSenderId;
  }

  /** What the store has: nothing at or above these was used. */
  get stored(): Marks {
    return { nextSequence: BigInt(this.#storedSequence), nextSenderId: this.#storedSenderId };
  }

  /** Sender ids that this SA can still give. */
  get senderIdsLeft(): number {
    return LAST_SENDER_ID + 1 - this.#nextSenderId;
  }

  /** Numbers that may be taken now. */
  get sequenceRoom(): number {
    return this.#storedSequence - this.#nextSequence;
  }

  /** First of `count` consecutive numbers, or -1 while they are not stored (or past the last number). */
  takeSequence(count: number): number {
    const first = this.#nextSequence;
    if (first + count > this.#storedSequence) return -1;
    this.#nextSequence = first + count;
    return first;
  }

  /** Numbers from `firstUnused` on were certainly not used: they are the next again. */
  giveBack(firstUnused: number): void {
    if (firstUnused < this.#nextSequence) this.#nextSequence = firstUnused;
  }

  /** A fresh sender id, or -1 while none is stored (or all are used). */
  takeSenderId(): number {
    return this.#nextSenderId < this.#storedSenderId ? this.#nextSenderId++ : -1;
  }

  /** Marks to write now, or undefined. After this call they are in flight until `done` or `failed`. */
  write(now: number): Marks | undefined {
    if (this.#inFlight !== undefined || now < this.#retryAt || !this.#isLow()) return undefined;
    const sequence = Math.min(this.#nextSequence + this.#blocks.sequences, this.#lastSequence + 1);
    const senderId = Math.min(this.#nextSenderId + this.#blocks.senderIds, LAST_SENDER_ID + 1);
    this.#inFlight = {
      nextSequence: BigInt(Math.max(sequence, this.#storedSequence)),
      nextSenderId: Math.max(senderId, this.#storedSenderId),
    };
    return this.#inFlight;
  }

  /** The store has acknowledged these marks. False (and nothing changes) if they are not those in flight. */
  done(marks: Marks): boolean {
    const expected = this.#inFlight;
    if (marks.nextSequence !== expected?.nextSequence || marks.nextSenderId !== expected.nextSenderId) {
      return false;
    }
    this.#inFlight = undefined;
    this.#retryMs = STORE_RETRY_MS;
    this.#storedSequence = Number(marks.nextSequence);
    this.#storedSenderId = marks.nextSenderId;
    return true;
  }

  /** The write failed or its fate is unknown; either way nothing above the old marks was used. */
  failed(now: number): void {
    if (this.#inFlight === undefined) return;
    this.#inFlight = undefined;
    this.#retryAt = now + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, STORE_RETRY_MAX_MS);
  }

  /** When `write` should be called again; Infinity if nothing is wanted or a write is in flight. */
  get writeAt(): number {
    return this.#inFlight === undefined && this.#isLow() ? this.#retryAt : Number.POSITIVE_INFINITY;
  }

  #isLow(): boolean {
    const sequenceLow =
      this.sequenceRoom < this.#blocks.sequences / 2 && this.#storedSequence <= this.#lastSequence;
    const idsLow =
      this.#storedSenderId - this.#nextSenderId < this.#blocks.senderIds / 2 &&
      this.#storedSenderId <= LAST_SENDER_ID;
    return sequenceLow || idsLow;
  }
}
