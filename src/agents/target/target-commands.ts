import type { EventLog } from '../../observe/event-log.ts';
import type { GivenArguments } from '../admin-arguments.ts';
import { eventsAnswer } from '../events-answer.ts';
import { maintenanceCommand, type MaintenanceParts } from './maintenance-command.ts';

/** Admin commands of a target that change something, and the stream of events. */
export function targetCommands(parts: MaintenanceParts, events: EventLog) {
  return {
    events: (given: GivenArguments) => eventsAnswer(events, given),
    maintenance: (given: GivenArguments) => maintenanceCommand(parts, given),
    rekey: () => onRoutingHost('rekey'),
    drain: () => onRoutingHost('drain'),
    undrain: () => onRoutingHost('undrain'),
  };
}

function onRoutingHost(command: string): never {
  throw new Error(`this is a target: ${command} is for its routing host. Here: dvipa maintenance`);
}
