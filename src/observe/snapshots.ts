import type { DropReason } from '../base/verdict.ts';
import type { HealthSnapshot } from './health.ts';
import type { LimitSnapshot } from './lifesize-snapshot.ts';

/**
 * What an agent tells about itself over its admin socket; the views render these, `--json` prints them as they
 * are. The forms are stable (docs/cli-json.md): keys are added, never renamed. Counters are absolute since the
 * agent started; times are milliseconds; an SPI is 8 hex digits. Never a key.
 */

export type AgentRole = 'route' | 'target';

export interface StatusSnapshot {
  readonly role: AgentRole;
  readonly host: string;
  readonly version: string;
  readonly uptimeMs: number;
  /** The routing host's epoch; 0 = not known yet. */
  readonly epoch: number;
  readonly dvipas: readonly DvipaSnapshot[];
  /** Routing host only. */
  readonly charon?: CharonSnapshot | undefined;
  /** Routing host: one per configured target. Target: one, the routing host. */
  readonly coupling: readonly CouplingSnapshot[];
  readonly counters: Counters;
  readonly link?: LinkSnapshot | undefined;
  readonly crew?: CrewSnapshot | undefined;
  readonly sending?: SendingSnapshot | undefined;
  readonly health: HealthSnapshot;
  /** Routing host only. */
  readonly opening?: OpeningSnapshot | undefined;
}

/** How packets cross the cluster: those of many a call cost least. Packets of either direction, and the system calls that moved them. */
export interface LinkSnapshot {
  readonly driver: 'batch' | 'dgram';
  /** Offloads that are in use. */
  readonly gso: boolean;
  readonly gro: boolean;
  readonly sent: number;
  readonly sendCalls: number;
  readonly received: number;
  readonly receiveCalls: number;
}

/** Threads that work on packets: how many, calls that were there for several of them, and how often those had no processors. */
export interface CrewSnapshot {
  readonly workers: number;
  readonly runs: number;
  readonly stalls: number;
}

/** What this host has sent to peers: in a run, many packets for what one costs. */
export interface SendingSnapshot {
  readonly packets: number;
  readonly runs: number;
  readonly packetsInRuns: number;
}

/** What a routing host opens itself instead of passing it on: conflicting numbers, attacked SAs, in place of targets. */
export interface OpeningSnapshot {
  /** The budget: packets that it may verify in a second. */
  readonly perSecond: number;
  /** Verifications that the budget had room for, and that it had not. */
  readonly granted: number;
  readonly refused: number;
  /** Packets that proved genuine. */
  readonly opened: number;
  /** Of these: went to a target that does not serve the SA. */
  readonly inPlaceOfTargets: number;
  /** Packets that wait for a target to give up their number. */
  readonly waiting: number;
  /** SAs of which packets are forged in masses now. */
  readonly attackedSas: number;
  /** Rings of unsettled numbers: SAs with traffic have one. */
  readonly rings: { readonly used: number; readonly capacity: number };
}

export interface DvipaSnapshot {
  readonly address: string;
  readonly endpoints: readonly string[];
  readonly inboundFilter: 'bypass' | 'filter';
  readonly clearText: 'reject' | 'distribute';
  /** Hosts that serve it now. */
  readonly serving: readonly string[];
}

export interface CharonSnapshot {
  readonly connected: boolean;
  /** The plugin's instance id, 16 hex digits; undefined while not connected. */
  readonly instance?: string | undefined;
  /** charon's version text. */
  readonly version?: string | undefined;
}

export type CouplingState = 'down' | 'connecting' | 'snapshot' | 'up';

export interface CouplingSnapshot {
  readonly host: string;
  readonly address: string;
  readonly state: CouplingState;
  /** Since the last record heard; undefined = never. */
  readonly lastHeardMs?: number | undefined;
}

export interface Counters {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Inbound packets opened by this host. On a routing host 0 unless it had a reason (`OpeningSnapshot`). */
  readonly opened: number;
  /** Outbound packets sealed by this host. */
  readonly sealed: number;
  readonly linkIn: number;
  readonly linkOut: number;
  readonly dropped: number;
}

/** `exclusive:<host>`: that target numbers and sends. */
export type SendingWay = `exclusive:${string}` | 'stamping' | 'funnel' | 'idle';

/**
 * `offered`: it was sent, or is about to be, and not acknowledged. `installed`: acknowledged, and no packets go by it (inbound: windows
 * are missing after a restart; outbound: charon has not switched to it). `draining`: a younger SA has taken over, until charon deletes
 * this one. `failed`: the target refused it. `down`: the target is not connected.
 */
export type SaTargetState = 'offered' | 'installed' | 'serving' | 'draining' | 'failed' | 'down';

/** One SA at one authorised target. */
export interface SaTargetSnapshot {
  readonly host: string;
  readonly state: SaTargetState;
  /** Why it failed, in the target's words. */
  readonly reason?: string | undefined;
}

export interface SaSnapshot {
  readonly id: string;
  readonly spi: string;
  readonly direction: 'in' | 'out';
  readonly dvipa: string;
  /** Outer address of the peer, with the port where ESP is in UDP: `192.0.2.101:4500`. */
  readonly peer: string;
  readonly mode: 'tunnel' | 'transport';
  readonly encapsulation: 'udp' | 'none';
  /** charon's names; undefined where this host does not know them. */
  readonly ikeName?: string | undefined;
  readonly childName?: string | undefined;
  readonly reqid: number;
  /** SA group: one peer's SAs with one reqid. */
  readonly group: number;
  /** As strongSwan writes it: `AES_GCM_16-128`. */
  readonly algorithm: string;
  /** Totals of the cluster on the routing host, of this host on a target. */
  readonly bytes: number;
  readonly packets: number;
  /** Since the last packet; undefined = none so far. */
  readonly idleMs?: number | undefined;
  readonly limits: { readonly bytes: LimitSnapshot; readonly packets: LimitSnapshot };
  readonly state: 'installing' | 'serving' | 'rekeying' | 'refused';
  /** Routing host: targets that acknowledged it. */
  readonly installedOn: readonly string[];
  /** Routing host: the SA at every target that is authorised for its DVIPA. */
  readonly targets?: readonly SaTargetSnapshot[] | undefined;
  /** Routing host, inbound: somebody forges packets of it in masses; unconfirmed connections are verified there. */
  readonly isAttacked?: boolean | undefined;
  /** Outbound only. */
  readonly way?: SendingWay | undefined;
  /** Inbound packets of this SA opened on this host. */
  readonly openedHere: number;
}

export interface TargetSnapshot {
  readonly host: string;
  readonly address: string;
  readonly state: CouplingState;
  /** Decimal text (64 bits); undefined = never seen. */
  readonly incarnation?: string | undefined;
  readonly lastHeardMs?: number | undefined;
  readonly sas: number;
  readonly connections: number;
  readonly epoch: number;
  /** DVIPAs for which it gets no new connections: an operator has drained it, or it is in maintenance. */
  readonly draining: readonly string[];
  /** As it said last. */
  readonly maintenance: boolean;
}

/** Packets that a rule, or the lack of one, decided about on this host. */
export interface FilterCounts {
  /** Of them through an SA, and in clear. */
  readonly ipsecPackets: number;
  readonly clearPackets: number;
}

export interface FilterRuleSnapshot extends FilterCounts {
  readonly action: 'permit' | 'deny' | 'require-ipsec';
  /** A name (`any` among them), or the number of a protocol that has none here. */
  readonly protocol: string | number;
  /** Network in CIDR notation; undefined = any. */
  readonly source?: string | undefined;
  /** Inclusive; undefined = any. */
  readonly sourcePorts?: PortRangeSnapshot | undefined;
  readonly ports?: PortRangeSnapshot | undefined;
}

export interface PortRangeSnapshot {
  readonly from: number;
  readonly to: number;
}

/** The inbound filter of one DVIPA, on the host that was asked. */
export interface FilterSnapshot {
  readonly dvipa: string;
  readonly inboundFilter: 'bypass' | 'filter';
  /** Whether clear text that a rule permits is taken; its rules are applied on both hosts. */
  readonly clearText: 'reject' | 'distribute';
  /** This host applies the rules to what comes through SAs. */
  readonly filtersHere: boolean;
  /** In their order. */
  readonly rules: readonly FilterRuleSnapshot[];
  /** No rule matched, or there are none: then `permit`, of what comes through an SA. */
  readonly unmatched: FilterCounts & { readonly action: 'permit' | 'deny' };
}

/** Packets per reason; every reason is there, zeros included. */
export type DropsSnapshot = Readonly<Partial<Record<DropReason, number>>>;

/** What a routing host says about an export of keys; the keys are in the file and nowhere else. */
export interface KeysExportSnapshot {
  readonly file: string;
  /** SAs that are in the file. */
  readonly sas: number;
  /** SAs that Wireshark cannot be told about. */
  readonly leftOut: readonly { readonly spi: string; readonly algorithm: string; readonly reason: string }[];
}

/** A difference between the configuration that runs and the file. A value that is not there is absent. */
export interface ConfigChangeSnapshot {
  /** In the file's spelling: `dvipas[203.0.113.10].weights.target2`. */
  readonly path: string;
  readonly from?: unknown;
  readonly to?: unknown;
  /** A reload with a change of effect `restart` is refused, so those are in no answer. */
  readonly effect: 'now' | 'restart';
}

/** What a reload has changed, or would change. */
export interface ReloadSnapshot {
  readonly file: string;
  /** False: it was a dry run. */
  readonly isApplied: boolean;
  readonly changes: readonly ConfigChangeSnapshot[];
  /** What to know, or to do elsewhere. */
  readonly warnings: readonly string[];
}
