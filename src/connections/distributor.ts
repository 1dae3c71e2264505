import type { IpAddress } from '../packet/address.ts';
import { AddressMap } from '../packet/address-map.ts';
import type { ConnectionKey } from './connection-key.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import { ConnectionTable, type ConnectionTableOptions } from './connection-table.ts';
import { FragmentTracker } from './fragment-tracker.ts';
import { chooseByHash, type DistributionMethod, type EligibleTargets, RoundRobin } from './distribution.ts';

export interface DistributorOptions extends Omit<ConnectionTableOptions, 'onTentativeEnd'> {
  /** SA groups whose peers look alike; none, unless given. */
  readonly lookAlikes?: Pick<GroupOverlaps, 'has' | 'of'>;
}

/** So many of them are asked for; beyond, two connections may meet on one target, which refuses the second. */
const LOOK_ALIKES_ASKED = 32;

interface Service {
  readonly method: DistributionMethod;
  readonly targets: number[];
}

/**
 * Connection table and distribution methods together: which target gets a packet. One per routing host, for
 * all its DVIPAs. Targets are small indexes; `route` allocates nothing.
 */
export class Distributor {
  readonly table: ConnectionTable;
  /** Which target has the first fragment of an inner datagram. */
  readonly fragments: FragmentTracker;
  readonly #services = new AddressMap<Service>();
  readonly #listeners = new Map<number, AddressMap<ReadonlySet<number>>>();
  readonly #loads = new Map<number, number>();
  readonly #lookAlikes: DistributorOptions['lookAlikes'];

  constructor(options: DistributorOptions) {
    this.table = new ConnectionTable({
      ...options,
      onTentativeEnd: (dvipa, target) => this.#services.get(dvipa)?.method.released(target),
    });
    this.#lookAlikes = options.lookAlikes;
    this.fragments = new FragmentTracker({ seed: options.seed });
  }

  /** Serves a DVIPA, by round robin unless another method is given. Twice keeps what is there. */
  addDvipa(dvipa: IpAddress, method: DistributionMethod = new RoundRobin()): void {
    if (!this.#services.has(dvipa)) this.#services.set(dvipa, { method, targets: [] });
  }

  /** The target is ready to serve the DVIPA. */
  addTarget(dvipa: IpAddress, target: number): void {
    const service = this.#services.get(dvipa);
    if (service === undefined || service.targets.includes(target)) return;
    service.targets.push(target);
    service.method.addTarget(target);
  }

  /** No new connections for the target on this DVIPA; those it has go on. */
  drainTarget(dvipa: IpAddress, target: number): void {
    const service = this.#services.get(dvipa);
    const at = service?.targets.indexOf(target) ?? -1;
    if (service === undefined || at < 0) return;
    service.targets.splice(at, 1);
    service.method.removeTarget(target);
  }

  /** The target is lost: it gets nothing any more, and its connections are forgotten. Returns how many. */
  removeTarget(target: number): number {
    for (const dvipa of this.#services.keys()) this.drainTarget(dvipa, target);
    this.#listeners.delete(target);
    this.#loads.delete(target);
    this.fragments.removeWhere((_group, value) => value === target);
    return this.table.removeTarget(target);
  }

  /** Targets that get new connections of the DVIPA. */
  targetsOf(dvipa: IpAddress): readonly number[] {
    return this.#services.get(dvipa)?.targets ?? [];
  }

  /**
   * The target for a peeked packet, or -1 (`no-target`). An entry decides, whatever the flags. `isOpening` (a
   * SYN without ACK) makes a tentative entry by the distribution method, within the quotas. Everything else
   * goes by hash and leaves no trace: segments without entry (after a restart the targets' lists fill the
   * table), other protocols, and openings over quota. `eligible`: who has the packet's SA; an entry's
   * target is returned without asking it, so check that one and hold the packet if need be. A connection of a
   * peer that looks like another one goes where the other has not the same one, if there is such a target.
   */
  route(
    key: ConnectionKey,
    isOpening: boolean,
    eligible: EligibleTargets,
    now: number,
    mayRemember = true,
  ): number {
    const known = this.table.lookup(key);
    if (known >= 0) return known;
    const service = this.#services.get(key.dvipa);
    if (service === undefined) return -1;
    const free = this.#apart(key, service, eligible);
    if (isOpening && mayRemember && this.table.hasRoomFor(key.group)) {
      const target = service.method.choose(free);
      if (target >= 0 && this.table.addTentative(key, target, now)) service.method.assigned(target);
      return target;
    }
    return chooseByHash(this.table.hashOf(key), service.targets, free);
  }

  #apart(key: ConnectionKey, { targets }: Service, eligible: EligibleTargets): EligibleTargets {
    const { group } = key;
    if (this.#lookAlikes?.has(group) !== true) return eligible;
    const taken = new Set<number>();
    let asked = 0;
    for (const other of this.#lookAlikes.of(group)) {
      if (asked++ >= LOOK_ALIKES_ASKED) break;
      key.group = other;
      taken.add(this.table.lookup(key));
    }
    key.group = group;
    const free = targets.filter((target) => !taken.has(target) && eligible?.has(target) !== false);
    return free.length === 0 || free.length === targets.length ? eligible : new Set(free);
  }

  /** `ports`: protocol << 16 | port, of all that listens on the target for the DVIPA. */
  setListeners(target: number, dvipa: IpAddress, ports: ReadonlySet<number>): void {
    const known = this.#listeners.get(target) ?? new AddressMap<ReadonlySet<number>>();
    known.set(dvipa, ports);
    this.#listeners.set(target, known);
  }

  /** How busy the target is, in thousandths. */
  setLoad(target: number, busyPerMille: number): void {
    this.#loads.set(target, busyPerMille);
  }

  /** As `ConnectionTable.confirm`; shares move here. */
  confirm(key: ConnectionKey, target: number, now: number): 'new' | 'known' | 'refused' | 'full' {
    const outcome = this.table.confirm(key, target, now);
    if (outcome === 'new' || outcome === 'full') this.#services.get(key.dvipa)?.method.confirmed(target);
    return outcome;
  }

  /** A target has reported the connection as authenticated. */
  isConfirmed(key: ConnectionKey): boolean {
    return this.table.isConfirmed(key);
  }

  /** As `ConnectionTable.close`. */
  close(key: ConnectionKey, target: number, now: number): boolean {
    return this.table.close(key, target, now);
  }
}
