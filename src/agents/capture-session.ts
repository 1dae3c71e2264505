import { DROP_REASONS, ELSEWHERE, type Verdict } from '../base/verdict.ts';
import {
  type CapturePoint,
  INNER_POINTS,
  isDrop,
  type PacketTap,
  type TapListener,
  type TapSubject,
} from '../dataplane/packet-tap.ts';
import { type CaptureItem, DROPPED } from '../observe/capture-item.ts';
import { equalAddresses, type IpAddress } from '../packet/address.ts';
import type { CaptureRequest } from './capture-request.ts';

/** What waits for the client; beyond it packets are lost, and counted. */
export const CAPTURE_RING = { packets: 4096, bytes: 8 * 1024 * 1024 } as const;

/**
 * One capture: packets at the tap that were asked for, as items of a stream. It watches until `return`: a
 * client that has gone leaves nothing behind. It never holds a packet up: what does not fit its ring is lost.
 */
export class CaptureSession implements TapListener, AsyncIterableIterator<CaptureItem> {
  readonly #tap: PacketTap;
  readonly #request: CaptureRequest;
  /** Nanoseconds since 1970. */
  readonly #now: () => bigint;
  readonly #onEnd: () => void;
  #waiting: CaptureItem[] = [];
  #bytes = 0;
  #lost = 0;
  #isEnded = false;
  #wake: () => void = () => {};

  constructor(tap: PacketTap, request: CaptureRequest, now: () => bigint, onEnd: () => void = () => {}) {
    this.#tap = tap;
    this.#request = request;
    this.#now = now;
    this.#onEnd = onEnd;
    tap.add(this);
  }

  take(point: CapturePoint, bytes: Uint8Array, verdict: Verdict, subject: TapSubject): void {
    if (!this.#wants(point, verdict, subject)) return;
    const { snapLength } = this.#request;
    const kept = Math.min(bytes.length, snapLength);
    if (this.#waiting.length >= CAPTURE_RING.packets || this.#bytes + kept > CAPTURE_RING.bytes) {
      this.#lost++;
      return;
    }
    this.#bytes += kept;
    this.#waiting.push({
      point,
      time: this.#now().toString(),
      bytes: Buffer.from(bytes.buffer, bytes.byteOffset, kept).toString('base64'),
      length: bytes.length,
      comment: commentOf(verdict),
      lost: this.#lost,
    });
    this.#wake();
  }

  async next(): Promise<IteratorResult<CaptureItem, undefined>> {
    while (this.#waiting.length === 0 && !this.#isEnded)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const item = this.#waiting.shift();
    if (item === undefined) return { done: true, value: undefined };
    this.#bytes -= Math.min(item.length, this.#request.snapLength);
    return { done: false, value: item };
  }

  async return(): Promise<IteratorResult<CaptureItem, undefined>> {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#tap.remove(this);
      this.#waiting = [];
      this.#wake();
      this.#onEnd();
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wants(point: CapturePoint, verdict: Verdict, { spi, peer, dvipa }: TapSubject): boolean {
    const request = this.#request;
    if (INNER_POINTS.has(point) && !request.inner) return false;
    if ((request.dropsOnly || request.reason !== undefined) && !isDrop(verdict)) return false;
    if (request.reason !== undefined && DROP_REASONS[verdict] !== request.reason) return false;
    if (request.spi !== undefined && request.spi !== spi) return false;
    return isAsked(request.peer, peer) && isAsked(request.dvipa, dvipa);
  }
}

function isAsked(asked: IpAddress | undefined, seen: IpAddress | undefined): boolean {
  return asked === undefined || (seen !== undefined && equalAddresses(asked, 0, seen, 0));
}

function commentOf(verdict: Verdict): string | undefined {
  if (isDrop(verdict)) return `${DROPPED}${DROP_REASONS[verdict]}`;
  return verdict === ELSEWHERE ? 'held, or on another way' : undefined;
}
