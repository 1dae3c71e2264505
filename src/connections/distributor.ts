import { equalAddresses, type IpAddress } from '../packet/address.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import type { ConnectionKey } from './connection-key.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import { ConnectionTable, type ConnectionTableOptions } from './connection-table.ts';
import { DispatchMemory } from './dispatch-memory.ts';
import { FragmentTracker } from './fragment-tracker.ts';
import { Listeners } from './listeners.ts';
import { blocksByIndex, PortLeases } from './port-leases.ts';
import type { DistributedService } from './service.ts';
import { type DvipaSettings, Services } from './services.ts';
import { ServingTargets } from './serving-targets.ts';
import {
  eligibleOf,
  type EligibleTargets,
  hasTarget,
  MAX_TARGETS,
  maskOf,
  NO_TARGETS,
  targetsIn,
  type TargetMask,
} from './target-mask.ts';

export interface DistributorOptions extends Omit<ConnectionTableOptions, 'onChange'> {
  /** SA groups whose peers look alike; none, unless given. */
  readonly lookAlikes?: Pick<GroupOverlaps, 'has' | 'of'>;
}

/** So many of them are asked for; beyond, two connections may meet on one target, which refuses the second. */
const LOOK_ALIKES_ASKED = 32;

/**
 * Connection table and distribution together (docs/distribution.md): which target gets a packet. One per routing host, for all its
 * DVIPAs. Targets are indexes below `MAX_TARGETS`; `route` allocates nothing, but for peers that look alike.
 */
export class Distributor {
  readonly table: ConnectionTable;
  /** Which target has the first fragment of an inner datagram. */
  readonly fragments: FragmentTracker;
  readonly #services: Services;
  readonly #listeners = new Listeners();
  readonly #leases = new PortLeases();
  readonly #dispatches = new DispatchMemory();
  readonly #lookAlikes: DistributorOptions['lookAlikes'];
  readonly #serving = new ServingTargets();
  /** As the targets last said. */
  readonly #busyPerMille = new Int32Array(MAX_TARGETS);

  constructor(options: DistributorOptions) {
    this.#services = new Services(options.seed);
    this.table = new ConnectionTable({
      ...options,
      onChange: (key, target, before, after) => this.#services.find(key)?.changed(target, before, after),
    });
    this.#lookAlikes = options.lookAlikes;
    this.fragments = new FragmentTracker({ seed: options.seed });
  }

  /**
   * Serves a DVIPA, by round robin unless told otherwise; again: in this way from now on. Connections stay where they are, and so do
   * clients, as long as they are kept in the same way.
   */
  setDvipa(dvipa: IpAddress, settings: DvipaSettings = {}): void {
    const { sourcePorts, lessees, targets = [] } = settings;
    if (sourcePorts === undefined) this.#leases.remove(dvipa);
    else this.#leases.set(dvipa, sourcePorts, lessees ?? blocksByIndex(targets));
    if (!this.#services.set(dvipa, settings)) return;
    this.#recount(dvipa);
    for (const target of targetsIn(this.#serving.openOf(dvipa))) this.#admit(dvipa, target);
  }

  /** The address is no DVIPA any more. */
  removeDvipa(dvipa: IpAddress): void {
    this.table.removeDvipa(dvipa);
    this.#services.remove(dvipa);
    this.#leases.remove(dvipa);
    this.#listeners.withdraw(dvipa);
    this.#serving.removeDvipa(dvipa);
  }

  /** The target serves the DVIPA no more: its connections of it are forgotten, and whether it was drained there. Returns how many. */
  withdraw(dvipa: IpAddress, target: number): number {
    this.#serving.withdraw(dvipa, target);
    for (const service of this.#services.of(dvipa)) service.removeTarget(target);
    this.#listeners.withdraw(dvipa, target);
    return this.table.removeDvipa(dvipa, target);
  }

  /** Connections of the DVIPA that the target has, and that are not over. */
  connectionsOf(dvipa: IpAddress, target: number): number {
    let count = 0;
    for (const service of this.#services.of(dvipa)) count += service.connectionsOf(target);
    return count;
  }

  /** The target is ready to serve the DVIPA. Twice is harmless. While it is drained, it gets no new connections all the same. */
  addTarget(dvipa: IpAddress, target: number): void {
    this.#serving.add(dvipa, target);
    if (!this.isDraining(target, dvipa)) this.#admit(dvipa, target);
  }

  /**
   * Draining: no new connections for the target on any DVIPA, or on this one; those that it has go on, and so does what it opens from
   * its own ports. Holds until it is taken back, whether the target is there, lost or comes again. The two are apart: a target
   * that is drained on all and on one gets connections again when both are taken back. Twice is harmless.
   */
  setDraining(target: number, isDraining: boolean, dvipa?: IpAddress): void {
    const affected = dvipa === undefined ? [...this.#services.dvipas()] : [dvipa];
    const before = affected.map((address) => this.isDraining(target, address));
    this.#serving.setDraining(target, isDraining, dvipa);
    for (const [i, address] of affected.entries()) {
      const after = this.isDraining(target, address);
      if (after === before[i]) continue;
      if (after) for (const service of this.#services.of(address)) service.removeTarget(target);
      else if (hasTarget(this.#serving.openOf(address), target)) this.#admit(address, target);
    }
  }

  /** On all DVIPAs, or (also) on this one. */
  isDraining(target: number, dvipa?: IpAddress): boolean {
    return this.#serving.isDraining(target, dvipa);
  }

  /** The target is lost: it gets nothing any more, and its connections are forgotten. Returns how many. */
  removeTarget(target: number): number {
    this.#serving.remove(target);
    this.#busyPerMille[target] = 0; // a report of its next life will say
    for (const service of this.#services.all()) service.removeTarget(target);
    this.#listeners.remove(target);
    this.#dispatches.remove(target);
    this.fragments.removeWhere((_group, value) => value === target);
    return this.table.removeTarget(target);
  }

  /** The SA group is gone (its last SA was deleted). Returns how many connections went with it. */
  removeGroup(group: number): number {
    for (const service of this.#services.all()) service.affinity?.removeGroup(group);
    return this.table.removeGroup(group);
  }

  /** Targets that get new connections of the DVIPA, ascending. */
  targetsOf(dvipa: IpAddress): readonly number[] {
    return targetsIn(this.#services.availableOf(dvipa));
  }

  /** The target says how busy it is, 0 to 1000: for services that follow the load. Holds until it says so anew or is lost. */
  setLoad(target: number, busyPerMille: number): void {
    this.#busyPerMille[target] = busyPerMille;
    for (const service of this.#services.all()) service.method.setLoad(target, busyPerMille);
  }

  /** What it said last, 0 to 1000. */
  loadOf(target: number): number {
    return this.#busyPerMille[target] as number;
  }

  /** Ports (`listenerKey`) that it reported for the DVIPA; undefined: it has not reported. */
  listenersOf(target: number, dvipa: IpAddress): ReadonlySet<number> | undefined {
    return this.#listeners.of(target, dvipa);
  }

  /** Confirmed connections of the DVIPA at the target, closing ones apart. */
  activeOf(target: number, dvipa: IpAddress): number {
    let sum = 0;
    for (const { counts } of this.#services.of(dvipa)) sum += counts.active[target] ?? 0;
    return sum;
  }

  /** All ports that the target listens on at this DVIPA (`listenerKey`). Holds until the next report, or it is lost. */
  setListeners(target: number, dvipa: IpAddress, listeners: ReadonlySet<number>): void {
    this.#listeners.set(target, dvipa, listeners);
  }

  /**
   * The target for a peeked packet, or -1 (`no-target`). An entry decides, whatever the packet is. Of what has none, packets to a
   * source port go to its lessee, and other TCP and UDP to targets that listen on the port, if any does. `isOpening` (a SYN without ACK, or a UDP datagram): by affinity, then by
   * the distribution method, with a tentative entry within the quotas; UDP so only on a port with a service of its own.
   * Everything else goes by hash and leaves no trace: segments (after a restart the targets' lists fill the table), other
   * protocols, openings over quota, and those for which nothing may be remembered (`mayRemember`), so that the segments that follow
   * find the same target. `eligible`: who has the packet's SA. A target is returned that is not, if the connection is its own, or
   * only such ones listen: check that, and hold the packet if need be. A connection of a peer that looks like another one goes where
   * the other has not the same one, if there is such a target.
   */
  route(
    key: ConnectionKey,
    isOpening: boolean,
    eligible: EligibleTargets,
    now: number,
    mayRemember = true,
  ): number {
    return this.#route(key, isOpening, eligible, now, mayRemember, true);
  }

  /** What `route` would return; nothing is noted. */
  preview(
    key: ConnectionKey,
    isOpening: boolean,
    eligible: EligibleTargets,
    now: number,
    mayRemember = true,
  ): number {
    return this.#route(key, isOpening, eligible, now, mayRemember, false);
  }

  #route(
    key: ConnectionKey,
    isOpening: boolean,
    eligible: EligibleTargets,
    now: number,
    mayRemember: boolean,
    notes: boolean,
  ): number {
    const known = this.table.lookup(key);
    if (known >= 0) return known;
    const service = this.#services.find(key);
    if (service === undefined) return -1;
    const lessee = this.#lesseeThere(key, isOpening);
    if (lessee >= 0) return lessee;
    const usable = this.#usable(key, service);
    const taken = this.#takenByLookAlikes(key);
    const candidates = this.#candidates(key, usable, taken, eligible);
    if (candidates === NO_TARGETS) return -1;
    const hash = this.table.hashOf(key);
    const opens = isOpening && (key.protocol !== IP_PROTOCOL.UDP || this.#services.hasOwn(key));
    const remembers = opens && mayRemember && this.table.hasRoomFor(key.group);
    const target =
      service.affinity === undefined
        ? this.#chooseFor(service, candidates, hash, remembers)
        : this.#chooseForClient(
            key,
            service,
            usable & ~taken,
            candidates,
            remembers,
            notes ? now : undefined,
          );
    if (!notes) return target;
    if (remembers) this.table.addTentative(key, target, now);
    // An entry may be gone before its target reports; then this says that it was asked.
    this.#dispatches.note(target, hash, now);
    return target;
  }

  /** As `ConnectionTable.confirm`; shares and affinity move here. */
  confirm(key: ConnectionKey, target: number, now: number): 'new' | 'known' | 'refused' | 'full' {
    const isOwn = this.table.isOpening(key) || (this.table.lookup(key) < 0 && this.#mayBeItsOwn(key, target));
    const outcome = this.table.confirm(key, target, now);
    const service = this.#services.find(key);
    if (service === undefined || outcome === 'refused' || outcome === 'full') return outcome;
    if (isOwn) return outcome;
    const usable = this.#usable(key, service);
    if (outcome === 'new') service.method.confirmed(target, usable);
    service.affinity?.confirmed(key, target, usable, now);
    return outcome;
  }

  /**
   * A target asks whether it may open the connection: as `mayReport`. True: it is its own from now on, and what the peer answers
   * goes there.
   */
  open(key: ConnectionKey, target: number, now: number): boolean {
    return this.mayReport(key, target, now) && this.table.open(key, target, now);
  }

  /** As `ConnectionTable.close`. */
  close(key: ConnectionKey, target: number, now: number): boolean {
    return this.table.close(key, target, now);
  }

  /** As `ConnectionTable.isConfirmed`. */
  isConfirmed(key: ConnectionKey): boolean {
    return this.table.isConfirmed(key);
  }

  /**
   * Invariant 9: is it plausible that the target was given this connection? The table says so; or packets of it were sent there
   * within the last seconds; or the target may have opened it itself: its port is leased to it, or to nobody, and nobody else
   * listens there.
   */
  mayReport(key: ConnectionKey, target: number, now: number): boolean {
    const known = this.table.lookup(key);
    if (known >= 0) return known === target;
    if (this.#dispatches.has(target, this.table.hashOf(key), now)) return true;
    const lessee = this.#leases.lesseeOf(key);
    return lessee < 0 ? !this.#isListenedByOthers(key, target) : lessee === target;
  }

  /** Forgets what has expired: call it about every 50 ms. */
  sweep(now: number): void {
    this.table.sweep(now);
    this.#dispatches.turn(now);
    for (const service of this.#services.all()) service.affinity?.sweep(now);
  }

  /** Each connection belongs to its port's service, if that has one now. */
  #recount(dvipa: IpAddress): void {
    for (const service of this.#services.of(dvipa)) service.forgetCounts();
    // Those too that have expired and were not swept: their end is still to be counted.
    this.table.visit(0, this.table.slots, Number.NEGATIVE_INFINITY, (key, target, state) => {
      if (equalAddresses(key.dvipa, 0, dvipa, 0)) this.#services.find(key)?.changed(target, undefined, state);
      return true;
    });
  }

  #admit(dvipa: IpAddress, target: number): void {
    for (const service of this.#services.of(dvipa)) {
      service.addTarget(target);
      service.method.setLoad(target, this.#busyPerMille[target] as number);
    }
  }

  #isListenedByOthers({ dvipa, protocol, destinationPort }: ConnectionKey, target: number): boolean {
    return (this.#listeners.on(dvipa, protocol, destinationPort) & ~maskOf(target)) !== NO_TARGETS;
  }

  /**
   * The lessee of a source port, if it is there; -1: the packet goes as any other. An opening packet for a port that others listen on
   * answers nobody: it is theirs.
   */
  #lesseeThere(key: ConnectionKey, isOpening: boolean): number {
    const lessee = this.#leases.lesseeOf(key);
    if (lessee < 0 || !this.#serving.isPresent(lessee)) return -1;
    return isOpening && this.#isListenedByOthers(key, lessee) ? -1 : lessee;
  }

  /** Targets of the service that listen on the port; all that are there if none does, or the protocol has no ports. */
  #usable(
    { dvipa, protocol, destinationPort }: ConnectionKey,
    { available }: DistributedService,
  ): TargetMask {
    if (protocol !== IP_PROTOCOL.TCP && protocol !== IP_PROTOCOL.UDP) return available;
    const listening = this.#listeners.on(dvipa, protocol, destinationPort) & available;
    return listening === NO_TARGETS ? available : listening;
  }

  /** If nothing is known of it: a connection that the target opened from a port of its own, and that nobody distributed. */
  #mayBeItsOwn({ dvipa, protocol, destinationPort }: ConnectionKey, target: number): boolean {
    if (!this.#listeners.hasReported(target, dvipa)) return false;
    return !hasTarget(this.#listeners.on(dvipa, protocol, destinationPort), target);
  }

  #chooseFor(service: DistributedService, candidates: TargetMask, hash: number, remembers: boolean): number {
    return remembers ? service.choose(candidates, hash) : service.chooseByHash(candidates, hash);
  }

  /**
   * With affinity: the client's target, or one for the client. Where none may be remembered, or the known one is not to be had,
   * the hash of the client names one, so that all its connections still meet. `notedAt` undefined: nothing is noted.
   */
  #chooseForClient(
    key: ConnectionKey,
    service: DistributedService,
    usable: TargetMask,
    candidates: TargetMask,
    remembers: boolean,
    notedAt: number | undefined,
  ): number {
    const affinity = service.affinity as NonNullable<DistributedService['affinity']>;
    const known = affinity.lookup(key);
    if (hasTarget(usable, known)) return known;
    const hash = affinity.hashOf(key);
    const isNew = remembers && known < 0 && affinity.hasRoomFor(key.group);
    const target = this.#chooseFor(service, candidates, hash, isNew);
    if (isNew && notedAt !== undefined) affinity.remember(key, target, notedAt);
    return target;
  }

  /** Targets that have the same connection of a peer that looks like this one. */
  #takenByLookAlikes(key: ConnectionKey): TargetMask {
    const { group } = key;
    if (this.#lookAlikes?.has(group) !== true) return NO_TARGETS;
    let taken = NO_TARGETS;
    let asked = 0;
    for (const other of this.#lookAlikes.of(group)) {
      if (asked++ >= LOOK_ALIKES_ASKED) break;
      key.group = other;
      const target = this.table.lookup(key);
      if (target >= 0) taken |= maskOf(target);
    }
    key.group = group;
    return taken;
  }

  /** Of the usable ones those that have the SA, and of these those that no look-alike has taken, if any. */
  #candidates(
    { dvipa }: ConnectionKey,
    usable: TargetMask,
    taken: TargetMask,
    eligible: EligibleTargets,
  ): TargetMask {
    const ready = eligibleOf(usable, eligible);
    const free = ready & ~taken;
    if (free !== NO_TARGETS) return free;
    if (ready !== NO_TARGETS) return ready;
    // Others have the SA, these not yet: better the packet waits than that a kernel without a listener refuses it.
    return eligibleOf(this.#services.availableOf(dvipa), eligible) === NO_TARGETS ? NO_TARGETS : usable;
  }
}
