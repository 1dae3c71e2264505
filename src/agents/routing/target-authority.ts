import type { Clock } from '../../base/clock.ts';
import type { DropCounters } from '../../base/verdict.ts';
import type { Distributor } from '../../connections/distributor.ts';
import type { DvipaService } from './dvipa-service.ts';
import type { LifesizeRunner } from './lifesize-runner.ts';
import type { NumberingRunner } from './numbering-runner.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { AnySa, RoutingSas } from './routing-sas.ts';
import type { SaLifecycle } from './sa-lifecycle.ts';
import { dvipaRecord, serviceOfPolicy, serviceRecords } from './shadow-records.ts';
import type { TargetCompleteness } from './target-completeness.ts';
import type { Authority, Cluster, TargetPeer } from './target-peers.ts';

export interface TargetAuthorityOptions {
  readonly clock: Clock;
  readonly drops: DropCounters;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly lifecycle: SaLifecycle;
  readonly rekeyer: Rekeyer;
  readonly numbering: NumberingRunner;
  readonly lifesize: LifesizeRunner;
  readonly distributor: Distributor;
  readonly completeness: TargetCompleteness;
}

/** What a target may have: what it gets with a DVIPA, and what becomes of SAs whose target is lost, or is not to have them any more. */
export class TargetAuthority {
  readonly #options: TargetAuthorityOptions;

  constructor(options: TargetAuthorityOptions) {
    this.#options = options;
  }

  /** This life of the target will serve the SA: it gets it with its credit, and to send with its sender id. */
  ready(entry: AnySa, peer: TargetPeer, incarnation: bigint): void {
    const { clock, numbering, lifesize } = this.#options;
    entry.lifesize.targetReady(peer.host, incarnation, clock.now());
    lifesize.changed(entry);
    if (!('numbering' in entry)) return;
    entry.numbering.targetReady(peer.host, incarnation, clock.now());
    numbering.changed(entry);
  }

  /** Of a DVIPA everything that the target must have, in its present session. Again: what it did not take the first time. */
  grant({ service, peer }: Authority): void {
    const { cluster, sas, clock, distributor, completeness } = this.#options;
    const { session } = peer;
    if (!peer.hasSnapshot || session?.isOpen !== true) return; // the snapshot has it
    for (const entry of sas.all())
      if (entry.service === service && !entry.lifesize.isUser(peer.host))
        this.ready(entry, peer, session.incarnation);
    for (const { kind, body } of serviceRecords(service, cluster, sas, peer, clock.now()))
      session.send(kind, body);
    session.send('completeness', {
      dvipa: service.record.address,
      complete: completeness.isComplete(service),
    });
    distributor.addTarget(service.address, peer.index);
  }

  /**
   * Nothing more comes of the target about the SA: its credit is charged, and so is what it may have delivered. `isToldSo`: it was
   * told to remove the SA, and will not have it again.
   */
  lost(entry: AnySa, peer: TargetPeer, isToldSo = false): void {
    const { clock, numbering, lifesize, lifecycle, drops } = this.#options;
    const now = clock.now();
    entry.refusals.delete(peer.host);
    entry.lifesize.targetLost(peer.host, now);
    lifesize.changed(entry);
    if ('owners' in entry) {
      entry.serving.delete(peer.index);
      entry.returned.delete(peer.host);
      const burnt = entry.owners.targetLost(peer.index);
      if (burnt === 0) return;
      drops.count('replay-undecided', burnt);
      lifecycle.undecided(entry);
      return;
    }
    entry.installedOn.delete(peer.host);
    if (isToldSo) entry.numbering.targetRemoved(peer.host, now);
    else entry.numbering.targetLost(peer.host, now);
    numbering.changed(entry);
  }

  /** A target that is there is told what of its DVIPAs may be different. Returns its session's record that says so last; 0: it is not there. */
  tellSettings(peer: TargetPeer): number {
    let last = 0;
    if (!peer.hasSnapshot) return last;
    for (const service of peer.services) last = peer.session?.send('dvipa', dvipaRecord(service, peer)) ?? 0;
    return last;
  }

  /** The target is authorised for the DVIPA no more: it is told so, and what it knows of SAs is replaced by rekeys. */
  withdraw({ service, peer }: Authority): void {
    const { cluster, sas, distributor, rekeyer } = this.#options;
    const held = [...sas.all()].filter((entry) => entry.service === service);
    const session = peer.hasSnapshot ? peer.session : undefined;
    for (const { kind, body } of removals(service, held, cluster, sas)) session?.send(kind, body);
    distributor.withdraw(service.address, peer.index);
    cluster.withdraw({ service, peer });
    for (const entry of held) {
      const mayHaveKeys = entry.lifesize.mayHaveServed(peer.host);
      this.lost(entry, peer, true);
      peer.senderIds.delete(entry.sa.id);
      if ('owners' in entry) entry.given.restarted(peer.index);
      if (mayHaveKeys && !entry.isReplaced) rekeyer.request(entry, 'target-removed');
    }
  }
}

/** What takes away from a target all that belongs to a DVIPA: policies first, since they name SAs. */
function* removals(service: DvipaService, held: readonly AnySa[], cluster: Cluster, sas: RoutingSas) {
  for (const policy of sas.outbound.policies()) {
    if (serviceOfPolicy(policy, cluster, sas) !== service) continue;
    yield { kind: 'policy-remove', body: { key: policy.key } } as const;
  }
  for (const { sa } of held) yield { kind: 'sa-remove', body: { id: sa.id } } as const;
  yield { kind: 'dvipa-remove', body: { address: service.record.address } } as const;
}
