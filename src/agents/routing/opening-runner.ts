import type { Clock } from '../../base/clock.ts';
import type { OpeningInbound } from '../../dataplane/opening-inbound.ts';
import type { RoutingInbound } from '../../dataplane/routing-inbound.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore } from '../../store/store.ts';
import type { LifesizeRunner } from './lifesize-runner.ts';
import type { InboundSa, RoutingSas } from './routing-sas.ts';
import { UNDECIDED } from './sa-marks.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** A target has so long to install an SA before this host opens its packets in its place; the packets wait. */
const FALLBACK_AFTER_MS = 50;

export interface OpeningRunnerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly store: CouplingStore;
  readonly inbound: () => RoutingInbound<InboundSa>;
  readonly opening: () => OpeningInbound<InboundSa>;
  readonly lifesize: () => LifesizeRunner;
}

/** What goes with opening packets on the routing host: claims to targets and their answers, the fallback, and telling people. */
export class OpeningRunner {
  readonly #options: OpeningRunnerOptions;

  constructor(options: OpeningRunnerOptions) {
    this.#options = options;
  }

  /** Asks a target to give up a number. Without a session its numbers are burnt already. */
  claim({ sa }: InboundSa, owner: number, high: number, low: number): void {
    const sequence = (BigInt(high) << 32n) | BigInt(low);
    this.#options.cluster.peerAt(owner)?.session?.send('claim', { sa: sa.id, sequence });
  }

  /** False: it was not asked, or contradicts itself. */
  answered(
    entry: InboundSa,
    peer: TargetPeer,
    { sequence, isGiven }: { readonly sequence: bigint; readonly isGiven: boolean },
  ): boolean {
    const high = Number(sequence >> 32n);
    const low = Number(sequence & 0xffff_ffffn);
    return this.#options.opening().claimAnswered(entry, peer.index, high, low, isGiven);
  }

  /** A packet of the SA was opened here, or failed to open. */
  opened(entry: InboundSa, isSuspicionNew: boolean): void {
    if (isSuspicionNew) this.#tellAttack(entry);
    if (entry.meter?.isDue === true) this.#options.lifesize().usedHere(entry);
  }

  /** A target counted packets with a wrong ICV. */
  wrongIcvs(entry: InboundSa, packets: number): void {
    if (entry.suspicion.wrong(packets, this.#options.clock.now())) this.#tellAttack(entry);
  }

  /**
   * Packets of the SA wait for targets that do not serve it. When they have had their time, this host opens packets for
   * them; before the first one the store has a mark, which makes a next life of this agent rekey the SA.
   */
  starved(entry: InboundSa): void {
    const { clock, sas, store, log, inbound } = this.#options;
    if (entry.fallback !== 'off' || !this.#isSomebodyLate(entry)) return;
    entry.fallback = 'storing';
    const fields = { sa: entry.sa.id, spi: formatSpi(entry.sa.spi), dvipa: entry.sa.dvipa };
    store.putSa(entry.sa.id, UNDECIDED).then(
      () => {
        if (sas.inbound.get(entry.sa.id) !== entry) return;
        entry.fallback = 'ready';
        log.warn('targets do not serve the SA yet, its packets for them are opened here', {
          ...fields,
          event: 'opened-in-place',
        });
        inbound().release(entry.sa.spi, clock.now());
      },
      (error: unknown) => {
        entry.fallback = 'off';
        log.warn('packets of an SA cannot be opened here: no mark was stored', {
          ...fields,
          error,
          event: 'store-failed',
        });
      },
    );
  }

  /** A target that is there was offered the SA long enough ago, and does not serve it. */
  #isSomebodyLate(entry: InboundSa): boolean {
    const { clock, cluster } = this.#options;
    const latest = clock.now() - FALLBACK_AFTER_MS;
    if (entry.addedAt > latest) return false;
    return cluster
      .connected(entry.service)
      .some(({ index, snapshotAt }) => snapshotAt <= latest && !entry.serving.has(index));
  }

  #tellAttack({ sa }: InboundSa): void {
    this.#options.log.warn('many packets with a wrong ICV, unconfirmed connections are verified here', {
      sa: sa.id,
      spi: formatSpi(sa.spi),
      dvipa: sa.dvipa,
      event: 'attack-suspected',
    });
  }
}
