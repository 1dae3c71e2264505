import type { KeyMaterial } from '../base/key-material.ts';
import type { SendWay } from '../ipsec/numbering-actions.ts';
import type { ReplaySnapshot } from '../ipsec/replay-snapshot.ts';
import type { OutboundPolicy, OuterAddresses, SaId, SecurityAssociation } from '../ipsec/sa.ts';

/**
 * The records of the coupling channel as both agents see them. What is on the wire (bytes for keys, no
 * classes) is in `route-schemas.ts` and `target-schemas.ts`. Numbers that count to 2^64 are `bigint`,
 * byte and packet totals are `number` (exact to 2^53).
 */

/** Protocol version in `hello`; another one is refused (`coupling-version`). */
export const COUPLING_VERSION = 3;

/** One rule of an inbound filter, in the order of the configuration. */
export interface FilterRuleRecord {
  readonly action: 'permit' | 'deny' | 'require-ipsec';
  /** A name, or the number (1..255) of a protocol that has none here. */
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6' | 'any' | number;
  /** Of the destination, inclusive; 0..65535 = any. */
  readonly fromPort: number;
  readonly toPort: number;
  /** Inclusive; absent: any. */
  readonly sourcePorts?: { readonly from: number; readonly to: number };
  /** Network in CIDR notation; absent: any. */
  readonly source?: string;
}

/** A DVIPA that this target serves. The same address again replaces what was known about it. */
export interface DvipaRecord {
  readonly address: string;
  /** Where IKE and ESP arrive; the DVIPA itself if there is no endpoint in front of it. */
  readonly endpoints: readonly string[];
  readonly filterMode: 'bypass' | 'filter';
  readonly rules: readonly FilterRuleRecord[];
  /** Whether clear text that a rule permits is taken. */
  readonly clearText: 'reject' | 'distribute';
  /** `router`: what the DVIPA sends leaves from the routing host only. */
  readonly returnVia: 'direct' | 'router';
  /** The routing host's address on the trusted link. */
  readonly router: string;
  /** Inclusive; absent: no port is leased to anybody. */
  readonly sourcePorts?: SourcePortsRecord;
}

/** Ports from which targets open connections of a DVIPA, and those of this target, if there are any. */
export interface SourcePortsRecord {
  readonly from: number;
  readonly to: number;
  readonly leased?: { readonly from: number; readonly to: number };
}

/** AES-256 keys of the trusted link between this pair of hosts, one per direction. Ownership passes on. */
export interface LinkKeyRecord {
  /** Seals routing host -> target. */
  readonly key: KeyMaterial;
  /** Seals target -> routing host. */
  readonly toRouter: KeyMaterial;
  readonly keyId: number;
  /** The last dispatch before this session: what of it is still on its way was meant for then, and is refused. */
  readonly dispatched: bigint;
}

/** What a target may use of an SA, absolute since its incarnation began. */
export interface Credit {
  readonly bytes: number;
  readonly packets: number;
}

/** Keys of one SA for packets that the routing host stamps in this life of it (docs/outbound.md, section 4); 16 bytes each. */
export interface StampKeysRecord {
  readonly link: KeyMaterial;
  readonly check: KeyMaterial;
}

/** Install or replace a shadow SA. The receiver owns the keys and wipes them. */
export interface SaInstallRecord {
  readonly sa: SecurityAssociation;
  /** Outbound only: IV prefix of this target under this key (0 = the routing host, never sent here). */
  readonly senderId?: number;
  /** Outbound only, where the SA can be stamped. */
  readonly stamping?: StampKeysRecord;
  /** Inbound only: numbers that are spent already. */
  readonly window?: ReplaySnapshot;
  /** All of them: the routing host does not wait for windows itself. Such an SA comes again when it has them. */
  readonly isWindowComplete?: boolean;
  readonly credit: Credit;
}

/** Routing host -> target, by kind. `send(kind, body)` on a `RoutingSession`. */
export interface RouteBodies {
  dvipa: DvipaRecord;
  'dvipa-remove': { readonly address: string };
  'link-key': LinkKeyRecord;
  'sa-install': SaInstallRecord;
  /** The peer moved (NAT mapping, MOBIKE). */
  'sa-update': { readonly id: SaId; readonly outer: OuterAddresses; readonly hasUdpEncapsulation: boolean };
  /** Longer outer packets of this outbound SA do not reach the peer in one piece, a router on the way says. */
  'path-mtu': { readonly sa: SaId; readonly mtu: number };
  /**
   * The routing host has an authenticated packet with this number of an inbound SA, which the target was given as well: has
   * it delivered it? If not, it never will from now on.
   */
  claim: { readonly sa: SaId; readonly sequence: bigint };
  'sa-remove': { readonly id: SaId };
  'policy-install': { readonly policy: OutboundPolicy };
  'policy-remove': { readonly key: string };
  'lease-grant': {
    readonly sa: SaId;
    readonly lease: number;
    readonly first: bigint;
    readonly count: number;
    readonly ttlMs: number;
  };
  'lease-revoke': { readonly sa: SaId; readonly lease: number };
  way: { readonly sa: SaId; readonly way: SendWay };
  /**
   * `complete`: every connection of the DVIPA is known here, since all its targets have listed theirs or are taken for dead. Otherwise (and
   * before the first one of a session) a target withholds its kernel's answers to segments of connections that it does not know.
   */
  completeness: { readonly dvipa: string; readonly complete: boolean };
  credit: { readonly sa: SaId } & Credit;
  /** To a `flow-ask`. `isYours`: what the peer answers goes to this target. */
  'flow-answer': { readonly flow: FlowRecord; readonly isYours: boolean };
}

/** A connection at a target, seen from the peer: `source` is the peer's inner address. */
export interface FlowRecord {
  readonly dvipa: string;
  /** SA group: tells peers with equal inner addresses apart. */
  readonly group: number;
  /** IP protocol number. */
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Target -> routing host, by kind. `send(kind, body)` on a `TargetSession`. */
export interface TargetBodies {
  'sa-installed': { readonly id: SaId; readonly ok: boolean; readonly reason?: string };
  'policy-installed': { readonly key: string };
  /** `isComplete`: when the SA was installed here, nothing was missing. Else what an earlier life of this target delivered may be. */
  window: { readonly sa: SaId; readonly isComplete: boolean } & ReplaySnapshot;
  /** No more windows. Of an SA that is younger than this target's life and was not named, it never had anything. */
  'windows-end': { readonly livesMs: number };
  'replay-report': {
    readonly sa: SaId;
    /** Committed numbers as ranges (`number-ranges.ts`), at most `REPORTED_NUMBERS_MAX` in all. */
    readonly numbers: Uint8Array;
    /** Nothing dispatched to this target up to this dispatch number will still be delivered. */
    readonly floor: bigint;
    /** Packets of the SA with a wrong ICV since the last report. */
    readonly wrongIcvs: number;
  };
  /** `isGiven`: the number was not delivered, and is refused from now on. */
  'claim-answer': { readonly sa: SaId; readonly sequence: bigint; readonly isGiven: boolean };
  /** The peer of an inbound SA sends from elsewhere: an authenticated packet with this number, the highest so far, did. */
  'mapping-report': {
    readonly sa: SaId;
    readonly address: string;
    readonly port: number;
    readonly sequence: bigint;
  };
  /** Cumulative per target incarnation and SA. */
  'lifesize-report': {
    readonly sa: SaId;
    readonly bytes: number;
    readonly packets: number;
    readonly idleMs: number;
  };
  /** `full`: `opened` lists every connection (in parts: the first part is full, the others are not). */
  'flow-report': {
    readonly opened: readonly FlowRecord[];
    readonly closed: readonly FlowRecord[];
    readonly full: boolean;
  };
  /** May this target open the flow? Its first packet waits for the answer. Of an ICMP echo: `echoKey`. */
  'flow-ask': { readonly flow: FlowRecord };
  /** A packet waits for an SA, and its policy has none, only a trap. Ports 0 where there are none. */
  acquire: {
    readonly key: string;
    readonly protocol: number;
    readonly source: string;
    readonly sourcePort: number;
    readonly destination: string;
    readonly destinationPort: number;
  };
  /** Ports where an application of this target hears what comes for the DVIPA: ascending. The whole list, each time. */
  listeners: { readonly dvipa: string; readonly tcp: readonly number[]; readonly udp: readonly number[] };
  /** The target serves the DVIPA from now on, and did not when it was told of it: everything of it again, please. */
  'dvipa-wanted': { readonly dvipa: string };
  /** How busy the target's processors are, in thousandths. */
  load: { readonly busyPerMille: number };
  /** Somebody works on the target's host: no new connections for it. Told when a session begins, and when it changes. */
  maintenance: { readonly isOn: boolean };
  'lease-request': { readonly sa: SaId; readonly count: number };
  'lease-return': { readonly sa: SaId; readonly lease: number; readonly firstUnused: bigint };
  /** The last counter used on the shared way: of the link, or with stamping of the SA's IVs. */
  flush: { readonly sa: SaId; readonly counter: bigint };
}

export type RouteKind = keyof RouteBodies;
export type TargetKind = keyof TargetBodies;

/** What a routing host sends, as a union to switch over. */
export type RouteRecord = {
  [K in RouteKind]: { readonly kind: K; readonly body: RouteBodies[K] };
}[RouteKind];
/** What a target sends, as a union to switch over. */
export type TargetRecord = {
  [K in TargetKind]: { readonly kind: K; readonly body: TargetBodies[K] };
}[TargetKind];

/** What a target's handler gets: the routing host's records, and where a snapshot begins and ends. */
export type TargetEvent =
  | RouteRecord
  | { readonly kind: 'snapshot-begin'; readonly body: Record<string, never> }
  | { readonly kind: 'snapshot-end'; readonly body: Record<string, never> };

/** First record of a routing host. */
export interface RouteHello {
  readonly version: number;
  readonly role: 'route';
  readonly host: string;
  readonly epoch: number;
}

/** First record of a target. */
export interface TargetHello {
  readonly version: number;
  readonly role: 'target';
  readonly host: string;
  /** Grows with every start of the target's agent. */
  readonly incarnation: bigint;
  /** Highest epoch it ever saw; 0: none. */
  readonly epochSeen: number;
}
