import type { Clock } from '../base/clock.ts';
import type { DropCounters } from '../base/verdict.ts';
import { AckLedger } from './ack-ledger.ts';
import { decodeFrame, type Envelope, encodeFrame } from './envelope.ts';
import { type CloseReason, CouplingError, isViolation } from './errors.ts';
import { FrameReader } from './framing.ts';
import { Heartbeat } from './heartbeat.ts';
import { Inbox } from './inbox.ts';
import { BACKLOG_MAX_BYTES, BACKLOG_MAX_RECORDS } from './limits.ts';
import type { SessionTimes } from './session.ts';
import type { ByteStream } from './stream.ts';

/** hello: nothing received yet. admitting: the peer's hello is being decided. Closed stays closed. */
export type SessionState = 'hello' | 'admitting' | 'open' | 'closed';

export interface CoreOptions {
  readonly stream: ByteStream;
  readonly clock: Clock;
  readonly times: SessionTimes;
  readonly drops: DropCounters;
}

/** What differs between the two ends. All but `closed` may throw `CouplingError` to end the session. */
export interface CoreHooks<In> {
  /** The first record. Ends with `open()` or `close()`, now or later; until then no other record is allowed. */
  hello(body: unknown, epoch: number): void;
  /** Whether a record of this epoch may still be obeyed. */
  isCurrent(epoch: number): boolean;
  decode(kind: string, body: unknown): In;
  handle(record: In): void | Promise<void>;
  discard(record: In): void;
  closed(reason: CloseReason, cause: unknown): void;
}

/** What was sent before is to arrive. */
const GRACEFUL: ReadonlySet<CloseReason> = new Set(['stopped', 'replaced', 'epoch-raised', 'removed']);

/** An acknowledgement is sent at once after so many handled records, else it waits for another record to take it along (`Heartbeat`). */
const ACK_EVERY_RECORDS = 16;

/**
 * What both ends have in common: frames, envelopes, numbers, acknowledgements, the order of handling, the
 * timers and the one way to close. A machine over a `ByteStream`: bytes in through `receive`, out through `write`.
 */
export class SessionCore<In> {
  readonly #options: CoreOptions;
  readonly #hooks: CoreHooks<In>;
  readonly #heartbeat: Heartbeat;
  readonly #reader = new FrameReader();
  readonly #ledger = new AckLedger();
  readonly #inbox: Inbox<In>;
  #state: SessionState = 'hello';
  #epoch = 0;
  #received = 0;
  #handled = 0;
  /** What the peer knows of `#handled`, and the last number that it waits to hear about. */
  #toldHandled = 0;
  #owedAck = 0;

  constructor(options: CoreOptions, hooks: CoreHooks<In>) {
    this.#options = options;
    this.#hooks = hooks;
    this.#heartbeat = new Heartbeat(options.clock, options.times, {
      sendHeartbeat: () => void this.#send('heartbeat', {}, false),
      sendOwedAck: () => this.#acknowledge(),
      helloTimedOut: () => this.close('hello-timeout'),
      peerDied: () => this.close('dead'),
    });
    this.#inbox = new Inbox<In>({
      handle: (record) => hooks.handle(record),
      handled: (n) => this.#onHandled(n),
      failed: (cause) => this.fail(cause),
      discard: (record) => hooks.discard(record),
    });
    this.#heartbeat.connected();
  }

  get state(): SessionState {
    return this.#state;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get heardAt(): number {
    return this.#heartbeat.heardAt;
  }

  get acknowledged(): number {
    return this.#ledger.acknowledged;
  }

  whenAcknowledged(n: number): Promise<boolean> {
    return this.#ledger.whenAcknowledged(n);
  }

  /** The first record of this end. `epoch`: 0 for a target, which does not know it yet. */
  sendHello(body: unknown, epoch: number): void {
    this.#epoch = epoch;
    this.#send('hello', body, true);
  }

  /** Both hellos are accepted. */
  open(epoch: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'open';
    this.#epoch = epoch;
    this.#reader.acceptLargeFrames();
    this.#heartbeat.opened();
  }

  /** `body` in wire form. Returns the record's number, 0 if it was not sent. */
  send(kind: string, body: unknown): number {
    return this.#state === 'open' ? this.#send(kind, body, true) : 0;
  }

  /** Bytes from the stream. They are wiped: they may hold keys. */
  receive(chunk: Uint8Array): void {
    if (this.#state === 'closed') {
      chunk.fill(0);
      return;
    }
    try {
      for (const frame of this.#reader.feed(chunk)) {
        this.#onEnvelope(decodeFrame(frame), frame.length);
        if (this.#isClosed()) break;
      }
    } catch (error) {
      this.fail(error);
    } finally {
      chunk.fill(0);
    }
  }

  streamClosed(error?: Error): void {
    this.close(error === undefined ? 'peer-closed' : 'stream-error', error);
  }

  /** Ends the session for what was thrown: the peer's violation, or a fault of our own side. */
  fail(cause: unknown): void {
    this.close(cause instanceof CouplingError ? cause.code : 'handler-failed', cause);
  }

  close(reason: CloseReason, cause?: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#heartbeat.stop();
    this.#inbox.close();
    this.#reader.wipe();
    if (isViolation(reason)) this.#options.drops.count(reason);
    if (GRACEFUL.has(reason)) this.#options.stream.close();
    else this.#options.stream.destroy();
    this.#hooks.closed(reason, cause);
    this.#ledger.close();
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #onEnvelope({ n, a, e, k, b }: Envelope, lengthBytes: number): void {
    if (n !== this.#received + 1)
      throw new CouplingError('coupling-order', `record ${n} after ${this.#received}`);
    this.#received = n;
    if (!this.#ledger.acknowledge(a)) {
      throw new CouplingError('coupling-order', `acknowledges ${a} of ${this.#ledger.sent}`);
    }
    const isHello = k === 'hello';
    if (isHello !== (this.#state === 'hello')) {
      throw new CouplingError('coupling-order', isHello ? 'a second hello' : 'a record before hello');
    }
    if (isHello) {
      this.#state = 'admitting';
      this.#inbox.add(n, lengthBytes, undefined);
      this.#hooks.hello(b, e);
      return;
    }
    if (this.#state !== 'open') throw new CouplingError('coupling-order', 'a record before our hello');
    if (!this.#hooks.isCurrent(e)) {
      throw new CouplingError('coupling-epoch', `record of epoch ${e} in a session of epoch ${this.#epoch}`);
    }
    this.#heartbeat.heard();
    this.#enqueue(n, k, b, lengthBytes);
  }

  #enqueue(n: number, kind: string, body: unknown, lengthBytes: number): void {
    const isBare = kind === 'heartbeat' || kind === 'ack';
    if (isBare && !isEmptyObject(body)) throw new CouplingError('coupling-malformed', `${kind} with a body`);
    if (!isBare) this.#owedAck = n;
    const record = isBare ? undefined : this.#hooks.decode(kind, body);
    if (!this.#inbox.add(n, lengthBytes, record)) {
      throw new CouplingError('coupling-limit', 'more records than may be unacknowledged');
    }
  }

  #onHandled(n: number): void {
    this.#handled = n;
    if (!this.#isAckOwed()) return;
    if (n - this.#toldHandled >= ACK_EVERY_RECORDS) this.#acknowledge();
    else this.#heartbeat.owesAck();
  }

  /** A bare acknowledgement, unless another record carried it already. */
  #acknowledge(): void {
    if (this.#isAckOwed()) this.#send('ack', {}, false);
  }

  #isAckOwed(): boolean {
    return this.#state === 'open' && this.#toldHandled < Math.min(this.#handled, this.#owedAck);
  }

  #send(kind: string, body: unknown, isCounted: boolean): number {
    if (this.#state === 'closed') return 0;
    const n = this.#ledger.next();
    const frame = encodeFrame({ n, a: this.#handled, e: this.#epoch, k: kind, b: body });
    this.#toldHandled = this.#handled;
    this.#ledger.add(frame.length, isCounted);
    this.#options.stream.write(frame, () => frame.fill(0));
    if (!this.#isOverflowing()) return n;
    this.close('overflow');
    return 0;
  }

  #isOverflowing(): boolean {
    return (
      this.#ledger.pendingBytes > BACKLOG_MAX_BYTES ||
      this.#ledger.pendingRecords > BACKLOG_MAX_RECORDS ||
      this.#options.stream.pendingBytes > BACKLOG_MAX_BYTES
    );
  }
}

function isEmptyObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length === 0;
}
