import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConnectionTable } from '../../connections/connection-table.ts';
import type { ConnectionCounts, ConnectionSnapshot, TopSource } from '../../observe/connection-snapshots.ts';
import { type GivenArguments, parseArguments } from '../admin-arguments.ts';
import {
  countArguments,
  countConnections,
  listArguments,
  listConnections,
  stateForPeople,
  topArguments,
  topSources,
  type VisitConnections,
} from '../connection-query.ts';
import type { RoutingSas } from './routing-sas.ts';
import type { Cluster } from './target-peers.ts';

/** Packets go on between: a table may have a million entries. */
const SLOTS_PER_TURN = 16_384;

export interface ConnectionParts {
  readonly host: { readonly distributor: { readonly table: ConnectionTable }; readonly sas: RoutingSas };
  readonly cluster: Cluster;
  readonly now: () => number;
}

export async function connectionList(
  parts: ConnectionParts,
  given: GivenArguments,
): Promise<ConnectionSnapshot[]> {
  const wanted = parseArguments(listArguments, given);
  checkTarget(parts.cluster, wanted.target);
  return listConnections(visitorOf(parts), wanted);
}

export async function connectionCounts(
  parts: ConnectionParts,
  given: GivenArguments,
): Promise<ConnectionCounts> {
  const wanted = parseArguments(countArguments, given);
  checkTarget(parts.cluster, wanted.target);
  return countConnections(visitorOf(parts), wanted);
}

/** With what their SAs carried: nobody counts bytes by connection. */
export async function connectionTop(parts: ConnectionParts, given: GivenArguments): Promise<TopSource[]> {
  const wanted = parseArguments(topArguments, given);
  checkTarget(parts.cluster, wanted.target);
  const sources = await topSources(visitorOf(parts), wanted);
  return sources.map((source) => ({ ...source, ...carried(parts, source.group) }));
}

function carried({ host: { sas }, now }: ConnectionParts, group: number) {
  const totals = Array.from(sas.group(group), ({ lifesize }) => lifesize.totals(now()));
  if (totals.length === 0) return {};
  return {
    bytes: totals.reduce((sum, { bytes }) => sum + bytes, 0),
    packets: totals.reduce((sum, { packets }) => sum + packets, 0),
  };
}

function checkTarget(cluster: Cluster, target: string | undefined): void {
  if (target !== undefined && cluster.peer(target) === undefined)
    throw new Error(`no target is named ${JSON.stringify(target)}`);
}

/** In parts. What moves in the table meanwhile may be missed, or seen twice: this is for people. */
function visitorOf({ host, cluster, now }: ConnectionParts): VisitConnections {
  const { table } = host.distributor;
  return async (visit) => {
    for (let from = 0; from < table.slots; from += SLOTS_PER_TURN) {
      if (from > 0) await nextTurn();
      const wantsMore = table.visit(from, from + SLOTS_PER_TURN, now(), (key, target, state, remainingMs) =>
        visit({
          key,
          target: cluster.peerAt(target)?.host ?? '',
          state: stateForPeople(state),
          remainingMs,
        }),
      );
      if (!wantsMore) return;
    }
  };
}
