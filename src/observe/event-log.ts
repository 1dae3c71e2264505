import type { AgentEvent, EventItem } from './event-item.ts';
import type { EventName } from './events.ts';
import { cleanFields, cleanText, type LogFields } from './fields.ts';
import type { Log, LogLevel } from './log.ts';

/** Some megabytes at the worst: an SA that comes and goes is half a dozen events. */
const KEPT_EVENTS = 8192;

export interface EventLogOptions {
  /** 16 hex digits, another one for each life of the agent. */
  readonly instance: string;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly kept?: number;
}

export interface EventsWanted {
  /** After this one: 0 is before the first. */
  readonly since: number;
  /** Goes on as events come; otherwise it ends with the newest. */
  readonly follows: boolean;
}

/**
 * The newest events of one life of an agent. A reader is a place in it and has no memory of its own: one that is slower than what
 * happens is told how many it has lost.
 */
export class EventLog {
  readonly instance: string;
  readonly #wallClock: () => number;
  readonly #kept: number;
  readonly #events: AgentEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #newest = 0;

  constructor({ instance, wallClock, kept = KEPT_EVENTS }: EventLogOptions) {
    this.instance = instance;
    this.#wallClock = wallClock;
    this.#kept = kept;
  }

  /** Number of the newest event, 0: none yet. */
  get newest(): number {
    return this.#newest;
  }

  /** Number of the oldest one that is kept. */
  get oldest(): number {
    return this.#newest - this.#events.length + 1;
  }

  record(event: EventName, level: LogLevel, message: string, fields: LogFields): void {
    const seq = ++this.#newest;
    const { event: _, ...rest } = cleanFields(fields);
    const entry: AgentEvent = {
      instance: this.instance,
      seq,
      time: new Date(this.#wallClock()).toISOString(),
      event,
      level,
      message: cleanText(message),
      fields: rest,
    };
    // Once full it is written round: number `seq` has one place.
    if (this.#events.length < this.#kept) this.#events.push(entry);
    else this.#events[(seq - 1) % this.#kept] = entry;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Undefined: no longer kept, or not yet there. */
  at(seq: number): AgentEvent | undefined {
    return seq < this.oldest || seq > this.#newest ? undefined : this.#events[(seq - 1) % this.#kept];
  }

  read({ since, follows }: EventsWanted): EventReader {
    return new EventReader(this, since + 1, follows);
  }

  /** Calls back once, at the next event. Returns what takes that back. */
  onNext(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }
}

const END = { done: true, value: undefined } as const;

/** Events in their order. `return` ends it at once, whether or not `next` waits. */
export class EventReader implements AsyncIterableIterator<EventItem, undefined> {
  readonly #log: EventLog;
  readonly #follows: boolean;
  #next: number;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(log: EventLog, next: number, follows: boolean) {
    this.#log = log;
    this.#next = next;
    this.#follows = follows;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<EventItem, undefined>> {
    while (!this.#isOver) {
      const value = this.#take();
      if (value !== undefined) return { done: false, value };
      if (!this.#follows) break;
      await this.#news();
    }
    return END;
  }

  async return(): Promise<IteratorResult<EventItem, undefined>> {
    this.#isOver = true;
    this.#wake?.();
    return END;
  }

  #take(): EventItem | undefined {
    const { oldest, newest, instance } = this.#log;
    if (this.#next > newest) return undefined;
    if (this.#next < oldest) {
      const lost = oldest - this.#next;
      this.#next = oldest;
      return { instance, lost };
    }
    return this.#log.at(this.#next++);
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const forget = this.#log.onNext(resolve);
      this.#wake = () => {
        forget();
        resolve();
      };
    });
  }
}

/** The same log; a line with a field `event` is an event as well, whatever level the log shows. */
export function recordingLog(log: Log, events: EventLog): Log {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    log[level](message, fields);
    if (fields?.event !== undefined) events.record(fields.event, level, message, fields);
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (fields) => recordingLog(log.child(fields), events),
  };
}
