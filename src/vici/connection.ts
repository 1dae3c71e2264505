import type { Clock } from '../base/clock.ts';
import { Call, type CallOptions, type Streamed } from './call.ts';
import { ViciError } from './error.ts';
import { FrameReader } from './framing.ts';
import { ViciMessage } from './message.ts';
import { decodePacket, encodePacket, type ViciPacket } from './packet.ts';
import type { ByteStream } from './stream.ts';

/** What a caller of commands needs; a connection and a session both are one. */
export interface Requester {
  /**
   * Sends a command, resolves with the reply's message. Commands sent meanwhile wait for their turn.
   * Rejects with a ViciError only: `unknown-command`, `refused` (the reply says `success = no`), `timeout`,
   * `aborted`, `closed`, `disconnected`, or what was wrong with the bytes.
   */
  request(command: string, message?: ViciMessage, options?: CallOptions): Promise<ViciMessage>;
  /**
   * A command that streams events of these names before its reply. `onEvent` gets each one, in order; if it
   * throws, the call rejects with that, the rest of the stream is discarded, and the connection lives on.
   */
  requestStream(
    command: string,
    events: readonly string[],
    onEvent: (message: ViciMessage, event: string) => void,
    message?: ViciMessage,
    options?: CallOptions,
  ): Promise<ViciMessage>;
}

export interface ConnectionOptions {
  readonly clock: Clock;
  /** How long an answer may take from the moment of sending, each streamed event starting anew. Default 10 s. */
  readonly timeoutMs?: number;
  /** Events subscribed to, in order of arrival. Must not throw. */
  readonly onEvent?: (name: string, message: ViciMessage) => void;
  /** Called once, when the connection has ended. `closed` if by `close()`. */
  readonly onClosed?: (reason: ViciError) => void;
  /** Overwrite the bytes of every event once its handler has returned: events may carry keys. Default no. */
  readonly wipeEvents?: boolean;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Callers that pile up more than this have lost touch with the daemon. */
const MAX_QUEUED = 1024;

/**
 * One VICI connection over a byte stream. Replies carry no number, so one call is in flight at a time and further
 * ones queue; events may come in between. Anything the protocol does not allow ends the connection.
 */
export class ViciConnection implements Requester {
  readonly #stream: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #frames = new FrameReader();
  readonly #queue: Call[] = [];
  /** charon would deliver an event twice to a client that registered twice. */
  readonly #registered = new Map<string, Promise<void>>();
  #current: Call | undefined;
  #ended: ViciError | undefined;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.start({
      bytes: (chunk) => this.#receive(chunk),
      closed: (cause) => this.#end(this.#lost(cause)),
    });
  }

  get isClosed(): boolean {
    return this.#ended !== undefined;
  }

  async request(
    command: string,
    message = new ViciMessage(),
    options: CallOptions = {},
  ): Promise<ViciMessage> {
    const packet: ViciPacket = { type: 'command-request', name: command, message };
    return refuseFailure(command, await this.#call('command', command, packet, options));
  }

  async requestStream(
    command: string,
    events: readonly string[],
    onEvent: (message: ViciMessage, event: string) => void,
    message = new ViciMessage(),
    options: CallOptions = {},
  ): Promise<ViciMessage> {
    await Promise.all(events.map((event) => this.subscribe(event, options)));
    const packet: ViciPacket = { type: 'command-request', name: command, message };
    const streamed = { events, onEvent };
    return refuseFailure(command, await this.#call('command', command, packet, options, streamed));
  }

  /** Asks for events of this name; twice is harmless. Rejects with `unknown-event` if the daemon has none such. */
  subscribe(event: string, options: CallOptions = {}): Promise<void> {
    const earlier = this.#registered.get(event);
    if (earlier !== undefined) return earlier;
    const packet: ViciPacket = { type: 'event-register', name: event };
    // The registration outlives the caller that asked first, so that caller's signal must not undo it.
    const { signal: _, ...lasting } = options;
    const registration = this.#call('event', event, packet, lasting).then(
      () => undefined,
      (error: unknown) => {
        this.#registered.delete(event);
        throw error;
      },
    );
    this.#registered.set(event, registration);
    return registration;
  }

  /** Wants no more events of this name. */
  async unsubscribe(event: string, options: CallOptions = {}): Promise<void> {
    if (!this.#registered.delete(event)) return;
    await this.#call('event', event, { type: 'event-unregister', name: event }, options);
  }

  /** Ends the connection; what was under way rejects with `reason`, by default `closed`. Twice is harmless. */
  close(reason = new ViciError('closed', 'connection was closed')): void {
    this.#end(reason);
  }

  #call(
    answer: 'command' | 'event',
    subject: string,
    packet: ViciPacket,
    options: CallOptions,
    streamed?: Streamed,
  ): Promise<ViciMessage> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) throw this.#ended;
      if (this.#queue.length >= MAX_QUEUED)
        throw new ViciError('too-big', 'too many calls are waiting', { subject });
      const bytes = encodePacket(packet);
      const call = new Call({ answer, subject, bytes, options, streamed, resolve, reject });
      if (call.isSettled) return call.wipe(); // aborted before it began
      this.#queue.push(call);
      this.#sendNext();
    });
  }

  #sendNext(): void {
    while (this.#current === undefined && this.#ended === undefined) {
      const call = this.#queue.shift();
      if (call === undefined) return;
      if (call.isSettled) {
        call.wipe(); // aborted while it waited
        continue;
      }
      this.#current = call;
      const timeoutMs = call.options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      call.arm(this.#options.clock, timeoutMs, (error) => this.#end(error));
      this.#stream.write(call.bytes);
    }
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.#frames.push(chunk)) {
        if (this.#ended !== undefined) return;
        this.#handleFrame(frame);
      }
    } catch (error) {
      if (!(error instanceof ViciError)) throw error; // a handler's own fault
      this.#end(error);
    } finally {
      if (this.#options.wipeEvents === true) chunk.fill(0);
    }
  }

  #handleFrame(frame: Buffer): void {
    const isToWipe = this.#options.wipeEvents === true && frame[0] === EVENT_TYPE;
    try {
      this.#handle(decodePacket(frame));
    } finally {
      if (isToWipe) frame.fill(0);
    }
  }

  #handle(packet: ViciPacket): void {
    switch (packet.type) {
      case 'event':
        if (this.#current?.takeEvent(packet.name, packet.message) === true) return;
        this.#options.onEvent?.(packet.name, packet.message);
        return;
      case 'command-response':
        return this.#answer('command', packet.message);
      case 'command-unknown':
        return this.#answer('command', 'unknown-command');
      case 'event-confirm':
        return this.#answer('event', new ViciMessage());
      case 'event-unknown':
        return this.#answer('event', 'unknown-event');
      case 'command-request':
      case 'event-register':
      case 'event-unregister':
        throw new ViciError('unexpected', `a client's packet came from the daemon: ${packet.type}`);
    }
  }

  #answer(kind: 'command' | 'event', answer: ViciMessage | 'unknown-command' | 'unknown-event'): void {
    const call = this.#current;
    if (call === undefined || call.answer !== kind) {
      throw new ViciError('unexpected', 'an answer to nothing that was asked');
    }
    this.#current = undefined;
    if (answer instanceof ViciMessage) call.resolve(answer);
    else
      call.reject(
        new ViciError(answer, `the daemon knows no ${kind} "${call.subject}"`, { subject: call.subject }),
      );
    this.#sendNext();
  }

  #lost(cause: Error | undefined): ViciError {
    const where = this.#frames.isAtBoundary ? 'connection ended' : 'connection ended inside a packet';
    return new ViciError('disconnected', where, { cause });
  }

  #end(reason: ViciError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#stream.close();
    const calls = [this.#current, ...this.#queue.splice(0)];
    this.#current = undefined;
    for (const call of calls) call?.reject(reason);
    this.#options.onClosed?.(reason);
  }
}

const EVENT_TYPE = 7;

/** A reply `success = no` is the daemon's way to throw. */
function refuseFailure(command: string, reply: ViciMessage): ViciMessage {
  if (reply.text('success') !== 'no') return reply;
  const errmsg = reply.text('errmsg') ?? 'no reason given';
  throw new ViciError('refused', `${command}: ${errmsg}`, { subject: command, errmsg });
}
