import type { IpAddress } from '../packet/address.ts';
import { AddressMap } from '../packet/address-map.ts';
import type { ConnectionKey } from './connection-key.ts';
import { ConnectionTable, type ConnectionTableOptions } from './connection-table.ts';
import { FragmentTracker } from './fragment-tracker.ts';
import { chooseByHash, type DistributionMethod, type EligibleTargets, RoundRobin } from './distribution.ts';

export type DistributorOptions = Omit<ConnectionTableOptions, 'onTentativeEnd'>;

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

  constructor(options: DistributorOptions) {
    this.table = new ConnectionTable({
      ...options,
      onTentativeEnd: (dvipa, target) => this.#services.get(dvipa)?.method.released(target),
    });
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
   * target is returned without asking it, so check that one and hold the packet if need be.
   */
  route(key: ConnectionKey, isOpening: boolean, eligible: EligibleTargets, now: number): number {
    const known = this.table.lookup(key);
    if (known >= 0) return known;
    const service = this.#services.get(key.dvipa);
    if (service === undefined) return -1;
    if (isOpening && this.table.hasRoomFor(key.group)) {
      const target = service.method.choose(eligible);
      if (target >= 0 && this.table.addTentative(key, target, now)) service.method.assigned(target);
      return target;
    }
    return chooseByHash(this.table.hashOf(key), service.targets, eligible);
  }

  /** As `ConnectionTable.confirm`; shares move here. */
  confirm(key: ConnectionKey, target: number, now: number): 'new' | 'known' | 'refused' | 'full' {
    const outcome = this.table.confirm(key, target, now);
    if (outcome === 'new' || outcome === 'full') this.#services.get(key.dvipa)?.method.confirmed(target);
    return outcome;
  }

  /** As `ConnectionTable.close`. */
  close(key: ConnectionKey, target: number, now: number): boolean {
    return this.table.close(key, target, now);
  }
}
