import { type Clock, every, type Timer } from '../base/clock.ts';
import type { SessionTimes } from './session.ts';

/** A timer that runs this late says that we stood still ourselves; what came meanwhile is not read yet. */
const STALL_MS = 100;

/**
 * An acknowledgement of its own may come so late: nearly always another record takes it along first. Nobody waits for one but a reload
 * and the bound on what is unacknowledged, which is far away.
 */
export const ACK_DELAY_MS = 50;

/** What the timers of a session ask for. */
export interface HeartbeatActions {
  sendHeartbeat(): void;
  /** If no record has told it meanwhile. */
  sendOwedAck(): void;
  helloTimedOut(): void;
  peerDied(): void;
}

/**
 * The timers of one session, as a page of policy. On an event something is armed or cleared, on an expiry
 * one action is called; `stop` ends them all.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #times: SessionTimes;
  readonly #actions: HeartbeatActions;
  #hello: Timer | undefined;
  #beat: Timer | undefined;
  #death: Timer | undefined;
  #ack: Timer | undefined;
  #heardAt = 0;

  constructor(clock: Clock, times: SessionTimes, actions: HeartbeatActions) {
    this.#clock = clock;
    this.#times = times;
    this.#actions = actions;
  }

  /** When the peer last gave a sign of life, in the clock's milliseconds; 0 before it was open. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** The stream is there: the peer has to say hello. */
  connected(): void {
    this.#hello = this.#clock.after(this.#times.helloTimeoutMs, () => this.#actions.helloTimedOut());
  }

  /** Both have said hello: both prove from now on that they live. */
  opened(): void {
    this.#hello?.cancel();
    this.#heardAt = this.#clock.now();
    this.#beat = every(this.#clock, this.#times.heartbeatMs, () => this.#actions.sendHeartbeat());
    this.#watch(this.#times.deadAfterMs);
  }

  /** Any valid record is a sign of life. Cheap: the timer looks at the time when it expires. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** The peer has to learn what was handled. */
  owesAck(): void {
    this.#ack ??= this.#clock.after(ACK_DELAY_MS, () => {
      this.#ack = undefined;
      this.#actions.sendOwedAck();
    });
  }

  stop(): void {
    this.#hello?.cancel();
    this.#beat?.cancel();
    this.#death?.cancel();
    this.#ack?.cancel();
  }

  #watch(delayMs: number): void {
    const dueAt = this.#clock.now() + delayMs;
    this.#death = this.#clock.after(delayMs, () => {
      const now = this.#clock.now();
      const silentMs = now - this.#heardAt;
      if (silentMs < this.#times.deadAfterMs) this.#watch(this.#times.deadAfterMs - silentMs);
      else if (now - dueAt > STALL_MS) this.#watch(this.#times.heartbeatMs);
      else this.#actions.peerDied();
    });
  }
}
