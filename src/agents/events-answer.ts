import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { EventLog, type EventReader } from '../observe/event-log.ts';
import { type GivenArguments, parseArguments } from './admin-arguments.ts';

/** `INSTANCE:SEQ`, or `SEQ` alone. */
const since = z.union([
  z.int().min(0),
  z.string().regex(/^([0-9a-f]{16}:)?\d{1,15}$/, 'expected SEQ or INSTANCE:SEQ'),
]);

const schema = z
  .strictObject({
    since: since.optional(),
    /** So many of the newest. */
    last: z.int().min(0).max(1_000_000).optional(),
    follow: z.boolean().optional(),
  })
  .refine((args) => args.since === undefined || args.last === undefined, 'since and last exclude each other');

/** Of a new life of an agent. */
export function newEventLog(): EventLog {
  return new EventLog({ instance: randomBytes(8).toString('hex'), wallClock: () => Date.now() });
}

/**
 * The admin command `events`: a stream of those that are kept, and of what comes. A place in another life of the agent is before all
 * of this one's.
 */
export function eventsAnswer(events: EventLog, given: GivenArguments): EventReader {
  const { since: place, last, follow: follows = false } = parseArguments(schema, given);
  if (last !== undefined)
    return events.read({ since: Math.max(events.newest - last, events.oldest - 1), follows });
  return events.read({ since: place === undefined ? events.oldest - 1 : placeIn(events, place), follows });
}

function placeIn({ instance, oldest, newest }: EventLog, place: string | number): number {
  const [seq = '', life = instance] = String(place).split(':').toReversed();
  if (life !== instance) return oldest - 1;
  const number = Number(seq);
  if (number > newest) throw new Error(`since: the newest event is ${newest}`);
  return number;
}
