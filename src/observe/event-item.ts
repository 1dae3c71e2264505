import type { EventName } from './events.ts';
import type { LogLevel } from './log.ts';

/** One event, as `dvipa events --json` prints it. */
export interface AgentEvent {
  /** One life of the agent, 16 hex digits; `seq` counts from 1 in it. */
  readonly instance: string;
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly event: EventName;
  readonly level: LogLevel;
  readonly message: string;
  /** Those of the log line. */
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

/** In place of events that a reader would have got, and that are no longer kept. */
export interface LostEvents {
  readonly instance: string;
  readonly lost: number;
}

export type EventItem = AgentEvent | LostEvents;
