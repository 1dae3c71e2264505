import type { Clock } from '../../base/clock.ts';
import type { RouteConfig } from '../../config/index.ts';
import type { Distributor } from '../../connections/distributor.ts';
import type { ClearDvipa } from '../../dataplane/clear-check.ts';
import type { TrustedLink } from '../../dataplane/ports.ts';
import type { VerificationBudget } from '../../ipsec/verification-budget.ts';
import type { Log } from '../../observe/log.ts';
import type { AddressMap } from '../../packet/address-map.ts';
import type { DrainedTargets } from './drained-targets.ts';
import { type DvipaService, stopFiltering } from './dvipa-service.ts';
import { LeavingTargets } from './leaving-targets.ts';
import type { LifesizeLearning } from './lifesize-learning.ts';
import type { NumberingRunner } from './numbering-runner.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { AnySa, RoutingSas } from './routing-sas.ts';
import { serviceOfPolicy } from './shadow-records.ts';
import type { TargetAuthority } from './target-authority.ts';
import type { TargetCompleteness } from './target-completeness.ts';
import type { Authority, Cluster } from './target-peers.ts';

/** A target that does not acknowledge is waited for so long, before the operator gets an answer. */
const TOLD_WAIT_MS = 2000;

export interface ReconfigurationOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly distributor: Distributor;
  readonly link: TrustedLink;
  readonly budget: VerificationBudget;
  readonly learning: LifesizeLearning;
  readonly rekeyer: Rekeyer;
  readonly numbering: NumberingRunner;
  readonly authority: TargetAuthority;
  readonly completeness: TargetCompleteness;
  readonly drains: DrainedTargets;
  /** DVIPAs that distribute clear text: who handles it reads it for each packet. */
  readonly clearDvipas: AddressMap<ClearDvipa>;
}

/**
 * Another configuration for a routing host that is running: no SA ends by it, and no connection but those that a target which
 * leaves still has when its time is over. What packets are judged by changes between two vectors, all of it at once.
 */
export class Reconfiguration {
  readonly leaving: LeavingTargets;
  readonly #options: ReconfigurationOptions;

  constructor(options: ReconfigurationOptions) {
    const { log, clock, distributor } = options;
    const now = () => clock.now();
    this.#options = options;
    this.leaving = new LeavingTargets({ log, now, distributor, out: (authority) => this.#out(authority) });
    this.#refreshClear();
  }

  /** Why the running host cannot take the configuration; empty: it can. Changes nothing. */
  refusals(config: RouteConfig): string[] {
    const { cluster } = this.#options;
    const refusals: string[] = [];
    const configured = new Set(config.dvipas.map(({ address }) => address));
    const endpoints = new Set(config.dvipas.flatMap((dvipa) => [...dvipa.endpoints, dvipa.address]));
    for (const service of cluster.dvipas.values()) {
      const { address } = service.record;
      const entries = this.#entriesOf(service);
      const used = entries.find(({ sa }) => !endpoints.has(localAddressOf(sa)));
      if (configured.has(address) && used === undefined) continue;
      const what = configured.has(address) ? `endpoint ${localAddressOf((used as AnySa).sa)}` : address;
      if (entries.length > 0 || (used === undefined && this.#hasPolicies(service))) {
        refusals.push(
          `dvipas: ${what} is still in use: ${entries.length} SAs, and policies of ${this.#namesOf(entries)}; ` +
            'unload these connections and terminate their IKE_SAs first (swanctl)',
        );
      }
    }
    if (!cluster.hasRoomFor(config))
      refusals.push('targets: no room for more while others are leaving, reload again when they are out');
    for (const { host, address } of config.targets) {
      const other = cluster.peers.find((peer) => peer.address === address && peer.host !== host);
      if (other === undefined) continue;
      const why = `${address} is still the address of ${other.host}`;
      refusals.push(`targets: ${why}; take that out first, and reload again when it is out`);
    }
    return refusals;
  }

  /** There must be no `refusals`. Packets go by it at once; resolves when targets that are there do so too, or after a while. */
  async apply(config: RouteConfig): Promise<void> {
    const { cluster, sas, distributor, link, budget, learning, authority, completeness } = this.#options;
    const before = new Set(cluster.peers);
    const changes = cluster.apply(config);
    for (const peer of cluster.peers) if (!before.has(peer)) link.setPeer(peer.index, peer.address);
    for (const { address, distribution } of cluster.dvipas.values())
      distributor.setDvipa(address, distribution);
    budget.perSecond = config.verification.perSecond;
    learning.percentage = config.lifesize.percentage;
    sas.allowsStamping = config.stamping === 'on';
    this.#refreshClear();
    for (const service of changes.removed) this.#removed(service);
    completeness.refresh();
    // Before they hear of it: nobody has a lease for a way that is closed.
    for (const service of changes.rerouted) this.#reroute(service);
    const told = cluster.peers.map(async (peer) =>
      peer.session?.whenAcknowledged(authority.tellSettings(peer)),
    );
    for (const joined of changes.joined) {
      this.#options.drains.refresh(joined.peer);
      authority.grant(joined);
    }
    this.leaving.set(changes.leaving);
    for (const peer of cluster.peers)
      if (peer.place < 0 && peer.services.length === 0) this.#removePeer({ peer });
    const areTold = Promise.all(told).then(() => {
      for (const service of changes.loosened) stopFiltering(service);
    });
    const isLate = new Promise<void>((resolve) => {
      this.#options.clock.after(TOLD_WAIT_MS, resolve);
    });
    await Promise.race([areTold, isLate]);
  }

  #reroute(service: DvipaService): void {
    const { numbering, clock } = this.#options;
    for (const entry of this.#entriesOf(service)) {
      if (!('numbering' in entry)) continue;
      entry.numbering.allowExclusive(service.returnVia === 'direct', clock.now());
      numbering.changed(entry);
    }
  }

  #removed(service: DvipaService): void {
    const { cluster, distributor } = this.#options;
    distributor.removeDvipa(service.address);
    for (const peer of cluster.peers) {
      if (!service.targets.has(peer.host) || !peer.hasSnapshot) continue;
      peer.session?.send('dvipa-remove', { address: service.record.address });
    }
  }

  #out(authority: Authority): void {
    const { service, peer } = authority;
    this.#options.authority.withdraw(authority);
    this.#options.log.info('target is out', {
      target: peer.host,
      dvipa: service.record.address,
      event: 'target-removed',
    });
    if (peer.place < 0 && peer.services.length === 0) this.#removePeer(authority);
    this.#options.completeness.refresh();
  }

  #removePeer({ peer }: Pick<Authority, 'peer'>): void {
    const { cluster, distributor, link, completeness } = this.#options;
    peer.session?.close('removed');
    distributor.removeTarget(peer.index);
    completeness.removed(peer);
    peer.linkKeys.wipe();
    link.setPeer(peer.index, undefined);
    cluster.removePeer(peer);
  }

  #refreshClear(): void {
    const { cluster, clearDvipas } = this.#options;
    clearDvipas.clear();
    for (const service of cluster.dvipas.values())
      if (service.distributesClear) clearDvipas.set(service.address, service);
  }

  #entriesOf(service: DvipaService): AnySa[] {
    return [...this.#options.sas.all()].filter((entry) => entry.service === service);
  }

  #hasPolicies(service: DvipaService): boolean {
    const { cluster, sas } = this.#options;
    return sas.outbound.policies().some((policy) => serviceOfPolicy(policy, cluster, sas) === service);
  }

  #namesOf(entries: readonly AnySa[]): string {
    const names = entries.flatMap((entry) => this.#options.rekeyer.namesOf(entry)?.ike ?? []);
    return [...new Set(names)].join(', ') || 'its connections';
  }
}

function localAddressOf({ direction, outer }: AnySa['sa']): string {
  return direction === 'in' ? outer.destination : outer.source;
}
