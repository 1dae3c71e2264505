import type { FlowTracker } from '../../connections/flow-tracker.ts';
import type { ConnectionCounts, ConnectionSnapshot, TopSource } from '../../observe/connection-snapshots.ts';
import { type GivenArguments, parseArguments } from '../admin-arguments.ts';
import {
  countArguments,
  countConnections,
  listArguments,
  listConnections,
  topArguments,
  topSources,
  type VisitConnections,
} from '../connection-query.ts';

/** This target's open connections. */
export interface ConnectionParts {
  readonly flows: FlowTracker;
  readonly host: string;
}

export async function connectionList(
  parts: ConnectionParts,
  given: GivenArguments,
): Promise<ConnectionSnapshot[]> {
  return listConnections(visitorOf(parts), parseArguments(listArguments, given));
}

export async function connectionCounts(
  parts: ConnectionParts,
  given: GivenArguments,
): Promise<ConnectionCounts> {
  return countConnections(visitorOf(parts), parseArguments(countArguments, given));
}

export async function connectionTop(
  parts: ConnectionParts,
  given: GivenArguments,
): Promise<readonly TopSource[]> {
  return topSources(visitorOf(parts), parseArguments(topArguments, given));
}

function visitorOf({ flows, host }: ConnectionParts): VisitConnections {
  return (visit) => {
    for (const key of flows.flows()) if (!visit({ key, target: host, state: 'confirmed' })) break;
    return Promise.resolve();
  };
}
