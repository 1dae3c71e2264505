import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../../observe/event-log.ts';
import type { GivenArguments } from '../admin-arguments.ts';
import { eventsAnswer } from '../events-answer.ts';
import { drainCommand } from './drain-commands.ts';
import { rekeyCommand } from './rekey-command.ts';
import type { RoutingParts } from './routing-parts.ts';

/** Admin commands of a routing host that change something, and the stream of events. */
export function routingCommands(parts: RoutingParts, events: EventLog) {
  return {
    events: (given: GivenArguments) => eventsAnswer(events, given),
    rekey: (given: GivenArguments) =>
      rekeyCommand({ ...parts, pause: (delayMs) => sleep(delayMs, undefined, { ref: false }) }, given),
    drain: (given: GivenArguments) => drainCommand(parts, given, true),
    undrain: (given: GivenArguments) => drainCommand(parts, given, false),
    maintenance: () => {
      throw new Error(
        'this is the routing host: no other would take its DVIPAs over. On a target: dvipa maintenance; here: dvipa drain TARGET',
      );
    },
  };
}
