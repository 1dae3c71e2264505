import type { CouplingState, DvipaSnapshot } from './snapshots.ts';

/** How new connections are distributed. */
export interface DistributionSnapshot {
  readonly method: 'round-robin' | 'weighted-active' | 'server-load' | 'hot-standby' | 'maglev';
  readonly affinity: 'none' | 'sa' | 'source';
  /** Of affinity by source. */
  readonly affinitySeconds?: number | undefined;
  /** Hot standby. */
  readonly switchBack?: boolean | undefined;
  /** Who is not in it has 1. */
  readonly weights: readonly { readonly host: string; readonly weight: number }[];
}

/** A port that is distributed in its own way. */
export interface PortServiceSnapshot extends DistributionSnapshot {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly targets: readonly string[];
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** One authorised target of a DVIPA. */
export interface DvipaTargetSnapshot {
  readonly host: string;
  readonly state: CouplingState;
  /** It gets no new connections of the DVIPA. */
  readonly isDraining: boolean;
  /** Open ones of the DVIPA. */
  readonly connections: number;
  /** In thousandths of its processors; routing host, of a target that is up. */
  readonly busyPerMille?: number | undefined;
  /** Source ports that it opens connections from; absent: none. */
  readonly sourcePorts?: PortRange | undefined;
  /** Ports that its applications listen on, as it reported; absent: it has not. */
  readonly listeners?: { readonly tcp: readonly number[]; readonly udp: readonly number[] } | undefined;
}

/** A DVIPA of this host with all that belongs to it. */
export interface DvipaDetails extends Omit<DvipaSnapshot, 'serving'> {
  readonly returnVia: 'direct' | 'router';
  /** Routing host. */
  readonly distribution?: DistributionSnapshot | undefined;
  readonly services?: readonly PortServiceSnapshot[] | undefined;
  /** Range of source ports that targets have parts of; `block`: ports of each (routing host). */
  readonly sourcePorts?: (PortRange & { readonly block?: number | undefined }) | undefined;
  readonly sas: number;
  /** Routing host: every authorised target. Target: itself. */
  readonly targets: readonly DvipaTargetSnapshot[];
}
