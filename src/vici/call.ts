import type { Clock, Timer } from '../base/clock.ts';
import { ViciError } from './error.ts';
import type { ViciMessage } from './message.ts';

export interface CallOptions {
  /** Gives up at once. A command already sent is not undone: its answer is discarded when it comes. */
  readonly signal?: AbortSignal;
  /** Overrides the connection's own; commands such as `initiate` may take long. */
  readonly timeoutMs?: number;
  /** The request carries a secret: its bytes are overwritten as soon as they are answered, or will never be sent. */
  readonly isSecret?: boolean;
}

/** Events that stream in before the reply. */
export interface Streamed {
  readonly events: readonly string[];
  readonly onEvent: (message: ViciMessage, event: string) => void;
}

interface CallParts {
  readonly answer: 'command' | 'event';
  readonly subject: string;
  readonly bytes: Buffer;
  readonly options: CallOptions;
  readonly streamed: Streamed | undefined;
  readonly resolve: (message: ViciMessage) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * One question to the daemon. Settled once, by whichever comes first: answer, abort, time-out, end of the connection. A call
 * settled by abort keeps its place in the line, since its answer will still come.
 */
export class Call {
  readonly #parts: CallParts;
  #settled = false;
  #timer: Timer | undefined;
  #rearm: (() => void) | undefined;
  readonly #onAbort = () => {
    const cause = this.#parts.options.signal?.reason;
    this.#settle(() =>
      this.#parts.reject(new ViciError('aborted', `${this.subject}: aborted`, { ...this.about, cause })),
    );
  };

  constructor(parts: CallParts) {
    this.#parts = parts;
    const signal = parts.options.signal;
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort);
  }

  /** Which kind of packet answers it. */
  get answer(): 'command' | 'event' {
    return this.#parts.answer;
  }

  get subject(): string {
    return this.#parts.subject;
  }

  get bytes(): Buffer {
    return this.#parts.bytes;
  }

  get options(): CallOptions {
    return this.#parts.options;
  }

  get isSettled(): boolean {
    return this.#settled;
  }

  private get about(): { subject: string } {
    return { subject: this.#parts.subject };
  }

  /** Starts the time-out; `onExpiry` ends the connection. It runs on after an abort: the answer is still owed. */
  arm(clock: Clock, timeoutMs: number, onExpiry: (error: ViciError) => void): void {
    this.#rearm = () => {
      this.#timer?.cancel();
      this.#timer = clock.after(timeoutMs, () => {
        onExpiry(new ViciError('timeout', `${this.subject}: no answer within ${timeoutMs} ms`, this.about));
      });
    };
    this.#rearm();
  }

  /** Takes the event if it belongs to this call's stream; says whether it did. */
  takeEvent(name: string, message: ViciMessage): boolean {
    const streamed = this.#parts.streamed;
    if (streamed?.events.includes(name) !== true) return false;
    this.#rearm?.();
    if (this.#settled) return true;
    try {
      streamed.onEvent(message, name);
    } catch (error) {
      this.#settle(() => this.#parts.reject(error));
    }
    return true;
  }

  /** It will not be sent (any more). */
  wipe(): void {
    if (this.options.isSecret === true) this.bytes.fill(0);
  }

  resolve(message: ViciMessage): void {
    this.#disarm();
    this.wipe();
    this.#settle(() => this.#parts.resolve(message));
  }

  reject(reason: ViciError): void {
    this.#disarm();
    this.wipe();
    this.#settle(() => this.#parts.reject(reason));
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#rearm = undefined;
  }

  #settle(action: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#parts.options.signal?.removeEventListener('abort', this.#onAbort);
    action();
  }
}
