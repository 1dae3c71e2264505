import type { RouteConfig } from '../../config/index.ts';
import { MAX_TARGETS } from '../../connections/target-mask.ts';
import type { RoutingSession } from '../../coupling/session.ts';
import type { OutboundPolicy, SaId } from '../../ipsec/sa.ts';
import { containsAddress } from '../../ipsec/traffic-selector.ts';
import { writeAddress } from '../../packet/address.ts';
import { AddressSet } from '../../packet/address-map.ts';
import { LinkKeys } from '../link-keys.ts';
import { addressOf } from '../sa-settings.ts';
import { distributionOf } from './distribution-settings.ts';
import { configure, type DvipaService, newDvipaService } from './dvipa-service.ts';
import type { CouplingState } from '../../observe/snapshots.ts';

/** One configured target: what outlives its sessions. */
export class TargetPeer {
  /** Its number on the link and in the connection table. */
  readonly index: number;
  readonly host: string;
  readonly address: string;
  /** Its place in the configuration, which its source ports go by; -1: it is not in it any more. */
  place = -1;
  /** DVIPAs that it is authorised for. */
  services: readonly DvipaService[] = [];
  /** Their addresses. */
  dvipas = new AddressSet();
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
  /** When it last asked for everything of a DVIPA. */
  readonly wantedAt = new WeakMap<DvipaService, number>();
  /** How often it has said that it is in maintenance, or not any more, in the minute that began at `since`. */
  readonly maintenanceWords = { since: 0, count: 0 };
  #dispatches = 0;

  constructor(index: number, target: { readonly host: string; readonly address: string }) {
    this.index = index;
    this.host = target.host;
    this.address = target.address;
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

/** A target and a DVIPA that it is authorised for. */
export interface Authority {
  readonly service: DvipaService;
  readonly peer: TargetPeer;
}

/** What another configuration has changed. */
export interface ClusterChanges {
  readonly added: readonly DvipaService[];
  readonly removed: readonly DvipaService[];
  /** What they send leaves another way now. */
  readonly rerouted: readonly DvipaService[];
  /** The targets apply the rules from now on; this host goes on until they do. */
  readonly loosened: readonly DvipaService[];
  readonly joined: readonly Authority[];
  /** No more configured: authorised until `remove`. */
  readonly leaving: readonly Authority[];
}

/** What people are told of a target. */
export function couplingState({ session, hasSnapshot }: TargetPeer): CouplingState {
  if (session?.isOpen !== true) return 'down';
  return hasSnapshot ? 'up' : 'snapshot';
}

/** The configured DVIPAs and targets, and targets that are leaving. */
export class Cluster {
  readonly #dvipas = new Map<string, DvipaService>();
  readonly #byIndex: (TargetPeer | undefined)[] = [];
  readonly #byHost = new Map<string, TargetPeer>();
  /** As packets are classified by; the same object over reloads. */
  readonly addresses = { dvipas: new AddressSet(), endpoints: new AddressSet() };

  constructor(config: RouteConfig) {
    this.apply(config);
  }

  get dvipas(): ReadonlyMap<string, DvipaService> {
    return this.#dvipas;
  }

  /** By index. */
  get peers(): readonly TargetPeer[] {
    return [...this.#byHost.values()].toSorted((a, b) => a.index - b.index);
  }

  peerAt(index: number): TargetPeer | undefined {
    return this.#byIndex[index];
  }

  /** Whether targets of the configuration have room beside those that are leaving. */
  hasRoomFor({ targets }: RouteConfig): boolean {
    const added = targets.filter(({ host }) => !this.#byHost.has(host)).length;
    return this.#byHost.size + added <= MAX_TARGETS;
  }

  /** The DVIPAs and targets of another configuration, at once. It must have room (`hasRoomFor`). */
  apply(config: RouteConfig): ClusterChanges {
    for (const target of config.targets) if (!this.#byHost.has(target.host)) this.#addPeer(target);
    for (const peer of this.#byHost.values())
      peer.place = config.targets.findIndex(({ host }) => host === peer.host);
    const changes = { added: [], removed: [], rerouted: [], loosened: [], joined: [], leaving: [] } as {
      -readonly [Key in keyof ClusterChanges]: ClusterChanges[Key][number][];
    };
    const indexes = new Map([...this.#byHost].map(([host, { index }]) => [host, index]));
    const router = config.cluster.address;
    for (const dvipa of config.dvipas) {
      const distribution = distributionOf(dvipa, config.targets, indexes);
      let service = this.#dvipas.get(dvipa.address);
      if (service === undefined) {
        service = newDvipaService(dvipa, distribution, router);
        this.#dvipas.set(dvipa.address, service);
        changes.added.push(service);
      } else {
        const { returnVia } = service;
        if (configure(service, dvipa, distribution, router)) changes.loosened.push(service);
        if (service.returnVia !== returnVia) changes.rerouted.push(service);
      }
      const configured = new Set(dvipa.targets);
      for (const peer of this.#byHost.values()) {
        const isAuthorised = service.targets.has(peer.host);
        if (configured.has(peer.host) && !isAuthorised) {
          service.targets.add(peer.host);
          changes.joined.push({ service, peer });
        } else if (isAuthorised && !configured.has(peer.host)) changes.leaving.push({ service, peer });
      }
    }
    const addresses = new Set(config.dvipas.map(({ address }) => address));
    for (const [address, service] of this.#dvipas) {
      if (addresses.has(address)) continue;
      this.#dvipas.delete(address);
      changes.removed.push(service);
    }
    this.#refresh();
    return changes;
  }

  /** The target is authorised for the DVIPA no more. */
  withdraw({ service, peer }: Authority): void {
    service.targets.delete(peer.host);
    this.#refresh();
  }

  /** The target is none of this cluster any more. */
  removePeer(peer: TargetPeer): void {
    this.#byHost.delete(peer.host);
    this.#byIndex[peer.index] = undefined;
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

  /** The lowest index that nobody has, and nobody has had if there is one: what was counted for another is not its. */
  #addPeer(target: { readonly host: string; readonly address: string }): void {
    const next = this.#byIndex.length;
    const index = next < MAX_TARGETS ? next : this.#byIndex.findIndex((peer) => peer === undefined);
    if (index < 0) throw new RangeError(`more than ${MAX_TARGETS} targets`);
    const peer = new TargetPeer(index, target);
    this.#byIndex[index] = peer;
    this.#byHost.set(peer.host, peer);
  }

  #refresh(): void {
    const services = [...this.#dvipas.values()];
    for (const peer of this.#byHost.values()) {
      peer.services = services.filter(({ targets }) => targets.has(peer.host));
      peer.dvipas = new AddressSet(peer.services.map(({ address }) => address));
    }
    const { dvipas, endpoints } = this.addresses;
    dvipas.clear();
    endpoints.clear();
    for (const { address, record } of services) {
      dvipas.add(address);
      for (const endpoint of record.endpoints) endpoints.add(addressOf(endpoint));
    }
  }
}
