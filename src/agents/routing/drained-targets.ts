import { createHash } from 'node:crypto';
import type { Distributor } from '../../connections/distributor.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore, DvipaState } from '../../store/store.ts';
import type { DvipaService } from './dvipa-service.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

export interface DrainedTargetsOptions {
  readonly cluster: Cluster;
  readonly distributor: Distributor;
  readonly store: CouplingStore;
  readonly log: Log;
  /** 0 until this host is the owner. */
  readonly epoch: () => number;
}

/**
 * Targets that get no new connections, though they are there: an operator has drained them here, for some DVIPAs or all of them; or
 * they are in maintenance, as they say themselves. What an operator said is in the store, beside the epoch: it outlives this agent,
 * and charon if not both end together. What a target said holds until it says otherwise, also while it is away.
 */
export class DrainedTargets {
  readonly #options: DrainedTargetsOptions;
  /** DVIPAs by target, by their names: those outlive a configuration. */
  readonly #byOperator = new Map<string, Set<string>>();
  readonly #inMaintenance = new Set<string>();

  constructor(options: DrainedTargetsOptions) {
    this.#options = options;
  }

  isInMaintenance({ host }: TargetPeer): boolean {
    return this.#inMaintenance.has(host);
  }

  /** DVIPAs for which the target gets no new connections, for whatever reason. */
  drainingOf(peer: TargetPeer): string[] {
    const drained = peer.services.filter((service) => this.#isDraining(peer, service));
    return drained.map(({ record }) => record.address);
  }

  /** An operator drains the target for these DVIPAs, or takes that back. False: it holds, but could not be stored. */
  async set(peer: TargetPeer, services: readonly DvipaService[], isDrained: boolean): Promise<boolean> {
    const { epoch, store, log } = this.#options;
    // The store's epoch must not be written over by one that is not known yet.
    if (epoch() === 0) throw new Error('charon has not been heard yet: this agent does not own its DVIPAs');
    this.#mark(peer, services, isDrained);
    const dvipa = services.map(({ record }) => record.address).join(' ');
    this.#tell(peer, isDrained, { reason: 'operator', dvipa });
    try {
      for (const service of services) await store.putDrained(service.record.address, this.#printsOf(service));
      return true;
    } catch (error) {
      log.warn('drained targets are not stored', { target: peer.host, error, event: 'store-failed' });
      return false;
    }
  }

  /** The target says whether it is in maintenance. */
  maintenance(peer: TargetPeer, isOn: boolean): void {
    if (isOn === this.#inMaintenance.has(peer.host)) return;
    if (isOn) this.#inMaintenance.add(peer.host);
    else this.#inMaintenance.delete(peer.host);
    this.#apply(peer);
    this.#tell(peer, isOn, { reason: 'maintenance' });
  }

  /** What an earlier life of this agent stored. */
  restored(dvipa: string, { drained = [] }: Pick<DvipaState, 'drained'>): void {
    const { cluster } = this.#options;
    const service = cluster.dvipas.get(dvipa);
    if (service === undefined) return;
    for (const peer of cluster.authorised(service)) {
      if (!drained.includes(fingerprint(peer.host))) continue;
      this.#mark(peer, [service], true);
      this.#tell(peer, true, { reason: 'operator', dvipa });
    }
  }

  /** The target has got another DVIPA, or is in the configuration again: what was said of it holds there too. */
  refresh(peer: TargetPeer): void {
    this.#apply(peer);
  }

  #isDraining(peer: TargetPeer, service: DvipaService): boolean {
    return this.#inMaintenance.has(peer.host) || this.#isDrained(peer, service);
  }

  #isDrained({ host }: TargetPeer, { record }: DvipaService): boolean {
    return this.#byOperator.get(host)?.has(record.address) === true;
  }

  #mark(peer: TargetPeer, services: readonly DvipaService[], isDrained: boolean): void {
    const on = this.#byOperator.get(peer.host) ?? new Set();
    for (const { record } of services) {
      if (isDrained) on.add(record.address);
      else on.delete(record.address);
    }
    if (on.size > 0) this.#byOperator.set(peer.host, on);
    else this.#byOperator.delete(peer.host);
    this.#apply(peer);
  }

  #apply(peer: TargetPeer): void {
    for (const service of peer.services)
      this.#options.distributor.setDraining(peer.index, this.#isDraining(peer, service), service.address);
  }

  #tell({ host }: TargetPeer, isDrained: boolean, fields: { reason: string; dvipa?: string }): void {
    const { log } = this.#options;
    if (isDrained)
      log.info('target gets no new connections', { target: host, ...fields, event: 'target-draining' });
    else
      log.info('target gets new connections again', { target: host, ...fields, event: 'target-undrained' });
  }

  #printsOf(service: DvipaService): string[] {
    const targets = this.#options.cluster.authorised(service);
    return targets.filter((peer) => this.#isDrained(peer, service)).map(({ host }) => fingerprint(host));
  }
}

/** The store has little room: a name in 64 bits. */
function fingerprint(host: string): string {
  return createHash('sha256').update(host).digest('hex').slice(0, 16);
}
