import type { ClusterClass, OutsideClass } from '../wire-class.ts';

/** Of all inbound packets, as many may be opened on the routing host: on a busy machine a target needs more than 50 ms for a new SA. */
const OPENED_IN_PLACE_AT_MOST = 0.01;

/** What one run of the main job showed, seen from outside the agents but where it says otherwise. */
export interface Measurement {
  /** HTTP connections that were asked for, one after another. */
  readonly connections: number;
  /** Answers by the host that they name. */
  readonly perTarget: Readonly<Record<string, number>>;
  /** Of these connections and of those during the download. */
  readonly failedRequests: number;
  readonly requestsDuringDownload: number;
  readonly download: {
    readonly bytes: number;
    readonly expectedBytes: number;
    readonly sha256ok: boolean;
    readonly mbitPerSecond: number;
  };
  readonly outside: Readonly<Partial<Record<OutsideClass, number>>>;
  readonly cluster: Readonly<Partial<Record<ClusterClass, number>>>;
  /** Packets that hold the download's marker. */
  readonly markerOnWires: number;
  readonly markerOnTuns: number;
  /** Sequence numbers and IVs that stand on the outside network twice under one SPI. */
  readonly espRepeats: number;
  /** Packets that the captures themselves lost, or NaN if tcpdump did not say. */
  readonly lostByCaptures: number;
  readonly rekeys: number;
  readonly rekeysFromCounts: number;
  /** Inbound packets that each agent says it opened; the one figure here that the agents give. */
  readonly opened: Readonly<Record<string, number>>;
  /** Of what the routing host opened: because a target was late with an SA. It says so itself. */
  readonly openedInPlaceOfTargets: number;
  readonly drops: Readonly<Record<string, number>>;
}

export interface Check {
  /** Stable, short: what a control names that it must fail. */
  readonly name:
    | 'spread'
    | 'requests'
    | 'download'
    | 'wires'
    | 'marker'
    | 'numbers'
    | 'captures'
    | 'opened'
    | 'rekeys';
  readonly holds: boolean;
  readonly line: string;
}

/** Frames on the outside network that should not be there, and packets on either that show what the tunnel hides. */
export function clearPackets(seen: Pick<Measurement, 'outside' | 'cluster' | 'markerOnWires'>): number {
  const { outside, cluster, markerOnWires } = seen;
  // Nothing is restarted here: also an ICMP error about IKE or ESP would be out of place.
  return (outside.other ?? 0) + (outside.unreachable ?? 0) + (cluster.other ?? 0) + markerOnWires;
}

/** Everything that must hold, in the order in which it is told. */
export function judge(seen: Measurement, targets: readonly string[], router: string): Check[] {
  const listed = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const { download, outside, cluster } = seen;
  const answers = Object.values(seen.perTarget).reduce((sum, count) => sum + count, 0);
  return [
    {
      name: 'spread',
      // Round robin is even; a client's own retry may shift it a little.
      holds: targets.every(
        (target) => (seen.perTarget[target] ?? 0) >= seen.connections / targets.length / 2,
      ),
      line: `${answers} of ${seen.connections} connections answered: ${listed(seen.perTarget)}`,
    },
    {
      name: 'requests',
      holds: seen.failedRequests === 0 && answers === seen.connections && seen.requestsDuringDownload > 0,
      line: `${seen.failedRequests} failed requests; ${seen.requestsDuringDownload} more were made during the download`,
    },
    {
      name: 'download',
      holds: download.sha256ok && download.bytes === download.expectedBytes,
      line: `${download.bytes} of ${download.expectedBytes} bytes downloaded at ${download.mbitPerSecond.toFixed(0)} Mbit/s, SHA-256 ${download.sha256ok ? 'as it should be' : 'WRONG'}`,
    },
    {
      name: 'wires',
      holds:
        (outside.esp ?? 0) > 0 &&
        (outside.ike ?? 0) > 0 &&
        clearPackets({ outside, cluster, markerOnWires: 0 }) === 0,
      line: `outside network: ${listed(outside)}; cluster network: ${listed(cluster)} (packets)`,
    },
    {
      name: 'marker',
      holds: seen.markerOnWires === 0 && seen.markerOnTuns > 0,
      line: `packets with the download's marker: ${seen.markerOnWires} on both networks, ${seen.markerOnTuns} on the targets' TUNs`,
    },
    {
      name: 'numbers',
      holds: seen.espRepeats === 0,
      line: `${seen.espRepeats} sequence numbers or IVs used twice under one SPI`,
    },
    {
      name: 'captures',
      holds: seen.lostByCaptures === 0,
      line: `${seen.lostByCaptures} packets lost by the captures`,
    },
    {
      name: 'opened',
      holds: isOpenedOnTargets(seen, targets, router),
      line: `inbound packets opened: ${listed(seen.opened)}; on ${router} because a target was late: ${seen.openedInPlaceOfTargets}`,
    },
    {
      name: 'rekeys',
      holds: seen.rekeysFromCounts > 0,
      line: `${seen.rekeys} rekeys, ${seen.rekeysFromCounts} of them because of counts (rekey_time is 0)`,
    },
  ];
}

/**
 * Nobody attacks here, so the routing host has one reason only to open a packet: its target does not serve the SA yet. Any other
 * (conflicting numbers, a suspicion) would be a fault, and so would be more than a few.
 */
function isOpenedOnTargets(
  { opened, openedInPlaceOfTargets }: Measurement,
  targets: readonly string[],
  router: string,
): boolean {
  const counts = targets.map((target) => opened[target] ?? 0);
  const most = counts.reduce((sum, count) => sum + count, 0) * OPENED_IN_PLACE_AT_MOST;
  return (
    counts.every((count) => count > 0) &&
    opened[router] === openedInPlaceOfTargets &&
    openedInPlaceOfTargets <= most
  );
}
