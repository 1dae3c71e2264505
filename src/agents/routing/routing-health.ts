import { type HealthSnapshot, healthOf, overrunWarning, type Warning } from '../../observe/health.ts';
import { packageVersion } from '../../observe/version.ts';
import type { RoutingParts } from './routing-parts.ts';
import type { AnySa } from './routing-sas.ts';
import { couplingState, type TargetPeer } from './target-peers.ts';

/** More than this part of the connection table is used: time to act before it is full. */
const NEARLY_FULL = 7 / 8;

/** What an operator should know about this routing host. */
export function routingHealth(parts: RoutingParts): HealthSnapshot {
  const { cluster } = parts;
  const up = new Set(cluster.peers.filter((peer) => couplingState(peer) === 'up'));
  return healthOf([
    ...charonWarnings(parts),
    ...targetWarnings(parts, up),
    ...saWarnings(parts, up),
    ...loadWarnings(parts),
  ]);
}

function* charonWarnings({ charon }: RoutingParts): Iterable<Warning> {
  if (!charon.isConnected) yield { name: 'charon-lost', severity: 'failed', text: 'charon is not connected' };
  else if (charon.plugin !== undefined && charon.plugin !== packageVersion()) {
    const text = `charon has kernel-dvipa ${charon.plugin}, this agent is ${packageVersion()}`;
    yield { name: 'plugin-version', severity: 'degraded', text };
  }
}

function* targetWarnings({ cluster, host }: RoutingParts, up: ReadonlySet<TargetPeer>): Iterable<Warning> {
  for (const peer of cluster.peers) {
    if (!up.has(peer))
      yield { name: 'target-down', severity: 'degraded', text: `${peer.host} is ${couplingState(peer)}` };
    const draining = host.drains.drainingOf(peer);
    if (draining.length === 0) continue;
    const why = host.drains.isInMaintenance(peer)
      ? 'is in maintenance'
      : `is drained for ${draining.join(', ')}`;
    yield { name: 'target-draining', severity: 'notice', text: `${peer.host} ${why}` };
  }
  for (const { address, record } of cluster.dvipas.values()) {
    if (host.distributor.targetsOf(address).length > 0) continue;
    const text = `no target takes new connections of ${record.address}`;
    yield { name: 'dvipa-unserved', severity: 'failed', text };
  }
}

function* saWarnings({ host, now }: RoutingParts, up: ReadonlySet<TargetPeer>): Iterable<Warning> {
  const { sas } = host;
  let refused = 0;
  let blocked = 0;
  let attacked = 0;
  for (const entry of sas.all()) {
    if (entry.refusals.size > 0 && isRefusedByAll(entry, up)) refused++;
    if ('numbering' in entry) blocked += Number(entry.numbering.state.name === 'blocked');
    else attacked += Number(entry.suspicion.isRaised(now()));
  }
  if (refused > 0)
    yield { name: 'sas-refused', severity: 'degraded', text: `${countOf(refused)} refused by every target` };
  if (blocked > 0)
    yield {
      name: 'sas-without-numbers',
      severity: 'degraded',
      text: `${countOf(blocked)} without numbers until rekeyed`,
    };
  if (attacked > 0)
    yield {
      name: 'sas-attacked',
      severity: 'degraded',
      text: `packets of ${countOf(attacked)} are forged in masses`,
    };
}

function* loadWarnings({ host, now }: RoutingParts): Iterable<Warning> {
  if (host.shortage.isRecent(now())) {
    const text = 'more packets had to be verified here than verification.per_second allows';
    yield { name: 'verification-short', severity: 'degraded', text };
  }
  const { size, capacity } = host.distributor.table;
  if (size > capacity * NEARLY_FULL) {
    const text = `${size} of ${capacity} entries of the connection table are used`;
    yield { name: 'connections-full', severity: 'degraded', text };
  }
  yield* overrunWarning(host.overrun.isRecent(now()));
}

/** By every target that is there. */
function isRefusedByAll({ refusals, service }: AnySa, up: ReadonlySet<TargetPeer>): boolean {
  const there = [...up].filter(({ host }) => service.targets.has(host));
  return there.length > 0 && there.every(({ host }) => refusals.has(host));
}

function countOf(sas: number): string {
  return sas === 1 ? '1 SA' : `${sas} SAs`;
}
