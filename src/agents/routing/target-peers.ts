import type { RoutedDvipa } from '../../dataplane/routing-sa.ts';
import type { RoutingSession } from '../../coupling/session.ts';
import type { RouteConfig } from '../../config/index.ts';
import type { DvipaSettings } from '../../connections/services.ts';
import { distributionOf } from './distribution-settings.ts';
import type { OutboundPolicy, SaId } from '../../ipsec/sa.ts';
import { inboundFilterOf, ruleRecords } from '../inbound-filter.ts';
import { writeAddress } from '../../packet/address.ts';
import { LinkKeys } from '../link-keys.ts';
import { containsAddress } from '../../ipsec/traffic-selector.ts';
import { AddressSet } from '../../packet/address-map.ts';
import { addressOf } from '../sa-settings.ts';
import type { DvipaRecord } from '../../coupling/records.ts';
import type { CouplingState } from '../../observe/snapshots.ts';

/** A DVIPA as configured, with what the data plane needs of it. */
export interface DvipaService extends RoutedDvipa {
  readonly record: DvipaRecord;
  /** Authorised targets, by host name: only they get its SAs. */
  readonly targets: ReadonlySet<string>;
  /** With the targets' indexes. */
  readonly distribution: DvipaSettings;
}

/** One configured target: what outlives its sessions. */
export class TargetPeer {
  /** Its number on the link and in the connection table. */
  readonly index: number;
  readonly host: string;
  readonly address: string;
  /** DVIPAs that it is authorised for. */
  readonly services: readonly DvipaService[];
  /** Their addresses. */
  readonly dvipas: AddressSet;
  readonly linkKeys = new LinkKeys();
  /** Sender ids of its present incarnation, by outbound SA. */
  readonly senderIds = new Map<SaId, number>();
  session: RoutingSession | undefined;
  /** The present session has had its snapshot: changes go as deltas. */
  hasSnapshot = false;
  /** When it was sent. */
  snapshotAt = 0;
  /** When the last session ended, and what was heard in it last. */
  lastHeardAt: number | undefined;
  incarnation: bigint | undefined;
  /** Until then, or the end of its list, it tells of connections that it has from before the present session. */
  listsUntil = 0;
  #dispatches = 0;

  constructor(
    index: number,
    target: { readonly host: string; readonly address: string },
    services: readonly DvipaService[],
  ) {
    this.index = index;
    this.host = target.host;
    this.address = target.address;
    this.services = services;
    this.dvipas = new AddressSet(services.map(({ address }) => address));
  }

  /** Number of the last dispatch, 0: none. */
  get dispatched(): bigint {
    return BigInt(this.#dispatches);
  }

  /** Number of the next dispatch: ascending over sessions and epochs, so that none means two things. */
  nextDispatch(): number {
    return ++this.#dispatches;
  }

  /**
   * A floor as the target counts it, with the high half that it cannot know: the highest number not above what was
   * dispatched that ends in the same 32 bits. 0 = none yet.
   */
  floorOf(reported: bigint): number {
    if (reported === 0n) return 0;
    const low = Number(reported & 0xffff_ffffn);
    return Math.max(0, this.#dispatches - ((this.#dispatches - low) >>> 0));
  }
}

/** What people are told of a target. */
export function couplingState({ session, hasSnapshot }: TargetPeer): CouplingState {
  if (session?.isOpen !== true) return 'down';
  return hasSnapshot ? 'up' : 'snapshot';
}

/** The configured DVIPAs and targets. */
export class Cluster {
  readonly dvipas: ReadonlyMap<string, DvipaService>;
  readonly peers: readonly TargetPeer[];
  readonly #byHost: ReadonlyMap<string, TargetPeer>;

  constructor(config: RouteConfig) {
    this.dvipas = new Map(
      config.dvipas.map((dvipa) => [
        dvipa.address,
        {
          address: addressOf(dvipa.address),
          filterMode: dvipa.inboundFilter,
          filter: inboundFilterOf(ruleRecords(dvipa.rules)),
          distributesClear: dvipa.clearText === 'distribute',
          returnVia: dvipa.returnVia,
          targets: new Set(dvipa.targets),
          distribution: distributionOf(dvipa, config.targets),
          record: {
            address: dvipa.address,
            endpoints: dvipa.endpoints,
            filterMode: dvipa.inboundFilter,
            rules: ruleRecords(dvipa.rules),
            clearText: dvipa.clearText,
            returnVia: dvipa.returnVia,
            router: config.cluster.address,
          },
        },
      ]),
    );
    this.peers = config.targets.map((target, index) => {
      const authorised = [...this.dvipas.values()].filter(({ targets }) => targets.has(target.host));
      return new TargetPeer(index, target, authorised);
    });
    this.#byHost = new Map(this.peers.map((peer) => [peer.host, peer]));
  }

  peer(host: string): TargetPeer | undefined {
    return this.#byHost.get(host);
  }

  /** The DVIPA that a policy without an SA (a trap) sends from. */
  serviceOf({ source }: OutboundPolicy): DvipaService | undefined {
    return [...this.dvipas.values()].find(({ address }) => {
      const bytes = Buffer.alloc(16);
      return containsAddress(source, bytes.subarray(0, writeAddress(bytes, 0, address)));
    });
  }

  /** Targets that may have SAs of the DVIPA. */
  authorised(dvipa: DvipaService): TargetPeer[] {
    return this.peers.filter((peer) => dvipa.targets.has(peer.host));
  }

  /** Those of them whose session takes deltas now. */
  connected(dvipa: DvipaService): TargetPeer[] {
    return this.authorised(dvipa).filter((peer) => peer.hasSnapshot && peer.session?.isOpen === true);
  }
}
