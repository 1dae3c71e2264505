import type { Clock, Timer } from '../base/clock.ts';
import { Backoff, type BackoffOptions, DEFAULT_BACKOFF } from './backoff.ts';
import type { CallOptions } from './call.ts';
import { type Requester, ViciConnection } from './connection.ts';
import { ViciError } from './error.ts';
import type { ViciMessage } from './message.ts';
import type { ByteStream } from './stream.ts';

export type EventHandler = (message: ViciMessage) => void;

export interface SessionOptions {
  /** Opens one byte stream to the daemon, e.g. `(signal) => connect('unix:///run/charon.vici', signal)`. */
  readonly open: (signal: AbortSignal) => Promise<ByteStream>;
  readonly clock: Clock;
  /** 0 <= random() < 1, for jitter. */
  readonly random: () => number;
  /** All subscriptions stand and commands work: the moment to list, then to merge what events bring. */
  readonly onConnected?: () => void;
  /** The connection is lost, or an attempt failed. Called with the reason before each wait. */
  readonly onDisconnected?: (reason: ViciError, retryInMs: number) => void;
  /** A handler found an event `invalid` and threw that; the session goes on. */
  readonly onInvalidEvent?: (event: string, error: ViciError) => void;
  /** Time for an answer, and for each attempt to connect. Default 10 s. */
  readonly timeoutMs?: number;
  readonly backoff?: BackoffOptions;
  /** See ConnectionOptions. */
  readonly wipeEvents?: boolean;
}

export type SessionState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed';

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/**
 * A lasting relation to one daemon, over two connections: one for commands, one for events, so that neither waits for
 * the other. Reconnects by itself, with growing delays; subscriptions are renewed first, then `onConnected` is
 * called. Events may be lost in between: list again in `onConnected`. If one connection ends, so does the other.
 */
export class ViciSession implements Requester {
  readonly #options: SessionOptions;
  readonly #backoff: Backoff;
  readonly #handlers = new Map<string, Set<EventHandler>>();
  #state: SessionState = 'idle';
  #commands: ViciConnection | undefined;
  #events: ViciConnection | undefined;
  #attempt: AbortController | undefined;
  /** Of the attempt, or of the wait for the next one. */
  #timer: Timer | undefined;
  #connectedAt = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff ?? DEFAULT_BACKOFF, options.random);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Begins to connect. Once only. */
  start(): void {
    if (this.#state !== 'idle')
      throw new ViciError('unexpected', `session cannot start: it is ${this.#state}`);
    void this.#connect();
  }

  /**
   * Calls `handler` for each event of this name, now and after every reconnect; returns the way to stop that. While
   * connected, resolves when the daemon has confirmed, and rejects with `unknown-event` (and forgets the handler) if
   * it has none such. Before, it is enough that it is noted: a daemon without it then counts as a failed attempt.
   */
  async subscribe(event: string, handler: EventHandler): Promise<() => void> {
    const handlers = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, handlers.add(handler));
    try {
      await this.#events?.subscribe(event);
    } catch (error) {
      // Without a connection the handler stays noted and is registered at the next one.
      if (!isViciError(error, 'disconnected')) {
        this.#forget(event, handler);
        throw error;
      }
    }
    return () => this.#forget(event, handler);
  }

  request(command: string, message?: ViciMessage, options?: CallOptions): Promise<ViciMessage> {
    if (this.#commands === undefined) return Promise.reject(this.#absent(command));
    return this.#commands.request(command, message, options);
  }

  requestStream(
    command: string,
    events: readonly string[],
    onEvent: (message: ViciMessage, event: string) => void,
    message?: ViciMessage,
    options?: CallOptions,
  ): Promise<ViciMessage> {
    if (this.#commands === undefined) return Promise.reject(this.#absent(command));
    return this.#commands.requestStream(command, events, onEvent, message, options);
  }

  /** Gives up the present connection and begins anew after a delay: for a user who finds that what it hears makes no sense. */
  reconnect(reason: ViciError): void {
    if (this.#state === 'connected') this.#lose(reason);
  }

  /** Ends everything: connections, attempts, timers. What was under way rejects with `closed`. Twice is harmless. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#timer?.cancel();
    const reason = new ViciError('closed', 'session was closed');
    this.#attempt?.abort(reason);
    this.#drop(reason);
    this.#handlers.clear();
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting';
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#timer = this.#options.clock.after(this.#options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS, () => {
      attempt.abort(new ViciError('timeout', 'connecting took too long'));
    });
    try {
      const commands = await this.#openConnection(attempt);
      const events = await this.#openConnection(attempt, (name, message) => this.#dispatch(name, message));
      for (const event of this.#handlers.keys()) await events.subscribe(event);
      this.#become(commands, events);
    } catch (error) {
      const reason = asViciError(attempt.signal.aborted ? attempt.signal.reason : error);
      attempt.abort(reason); // takes the half-made connections down
      if (this.#state === 'connecting') this.#wait(reason, 0);
    }
  }

  async #openConnection(
    attempt: AbortController,
    onEvent?: (name: string, message: ViciMessage) => void,
  ): Promise<ViciConnection> {
    const stream = await this.#options.open(attempt.signal);
    const { clock, timeoutMs, wipeEvents } = this.#options;
    const connection = new ViciConnection(stream, {
      clock,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(wipeEvents === undefined ? {} : { wipeEvents }),
      ...(onEvent === undefined ? {} : { onEvent }),
      onClosed: (reason) => this.#connectionEnded(connection, reason),
    });
    const onAbort = () => connection.close(asViciError(attempt.signal.reason));
    attempt.signal.addEventListener('abort', onAbort);
    if (attempt.signal.aborted) onAbort();
    return connection;
  }

  #become(commands: ViciConnection, events: ViciConnection): void {
    const ended = [commands, events].find((connection) => connection.isClosed);
    if (ended !== undefined) throw new ViciError('disconnected', 'connection ended while connecting');
    this.#timer?.cancel();
    this.#commands = commands;
    this.#events = events;
    this.#state = 'connected';
    this.#connectedAt = this.#options.clock.now();
    this.#options.onConnected?.();
  }

  #connectionEnded(connection: ViciConnection, reason: ViciError): void {
    if (connection === this.#commands || connection === this.#events) this.#lose(reason);
  }

  #lose(reason: ViciError): void {
    this.#drop(new ViciError('disconnected', 'connection to the daemon was lost', { cause: reason }));
    if (this.#state === 'connected') this.#wait(reason, this.#options.clock.now() - this.#connectedAt);
  }

  #wait(reason: ViciError, livedMs: number): void {
    this.#state = 'waiting';
    this.#timer?.cancel();
    const delayMs = this.#backoff.nextDelayMs(livedMs);
    this.#timer = this.#options.clock.after(delayMs, () => void this.#connect());
    this.#options.onDisconnected?.(reason, delayMs);
  }

  #drop(reason: ViciError): void {
    const connections = [this.#commands, this.#events];
    this.#commands = undefined;
    this.#events = undefined;
    for (const connection of connections) connection?.close(reason);
  }

  #dispatch(event: string, message: ViciMessage): void {
    for (const handler of this.#handlers.get(event) ?? []) {
      try {
        handler(message);
      } catch (error) {
        if (!isViciError(error, 'invalid')) throw error;
        this.#options.onInvalidEvent?.(event, error);
      }
    }
  }

  #forget(event: string, handler: EventHandler): void {
    const handlers = this.#handlers.get(event);
    if (handlers?.delete(handler) !== true || handlers.size > 0) return;
    this.#handlers.delete(event);
    this.#events?.unsubscribe(event).catch(() => undefined); // a lost connection has no subscriptions either
  }

  #absent(subject: string): ViciError {
    return this.#state === 'closed'
      ? new ViciError('closed', 'session was closed', { subject })
      : new ViciError('disconnected', `not connected (${this.#state})`, { subject });
  }
}

function isViciError(error: unknown, code: ViciError['code']): error is ViciError {
  return error instanceof ViciError && error.code === code;
}

function asViciError(error: unknown): ViciError {
  return error instanceof ViciError
    ? error
    : new ViciError('disconnected', 'cannot connect', { cause: error });
}
