import type { Clock } from '../../base/clock.ts';
import { Deadlines } from '../../base/deadlines.ts';
import type { Funnel } from '../../dataplane/funnel.ts';
import type { Stamping } from '../../dataplane/stamping.ts';
import type { OwnerAction } from '../../ipsec/numbering-actions.ts';
import { formatSpi, type SaId } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore } from '../../store/store.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { OutboundSa, RoutingSas } from './routing-sas.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';
import { sendingWay } from './way-history.ts';

export interface NumberingRunnerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly sas: RoutingSas;
  readonly cluster: Cluster;
  readonly store: CouplingStore;
  readonly rekeyer: Rekeyer;
  readonly funnel: () => Funnel;
  readonly stamping: () => Stamping<OutboundSa>;
  /** The target has its sender id: the SA can be installed there. */
  readonly install: (entry: OutboundSa, peer: TargetPeer) => void;
}

/** Carries out what the numbering of each outbound SA wants, and calls it back when its time has come. */
export class NumberingRunner {
  readonly #options: NumberingRunnerOptions;
  readonly #deadlines: Deadlines<OutboundSa>;
  /** SAs that leave the shared way: they wait for the last link packets of the target that goes on alone. */
  readonly #draining = new Set<OutboundSa>();

  constructor(options: NumberingRunnerOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock, (entry, now) => {
      entry.numbering.tick(now);
      this.changed(entry);
    });
  }

  /** After any input to `entry.numbering`. */
  changed(given: { readonly sa: { readonly id: SaId } }): void {
    const entry = this.#options.sas.outbound.get(given.sa.id);
    if (entry === undefined) return;
    for (const action of entry.numbering.takeActions()) this.#carryOut(entry, action);
    this.#deadlines.set(entry, entry.numbering.deadline());
    this.#noteWay(entry);
    if (entry.numbering.state.name === 'drain-to-exclusive') this.#draining.add(entry);
    else this.#draining.delete(entry);
  }

  /** Link packets of a target were opened, of whatever SA: counters say how far a flush has come. */
  linkUsed(target: string, counter: number, now: number): void {
    for (const entry of this.#draining) {
      if (entry.numbering.sharedWay !== 'funnel') continue; // other counters
      entry.numbering.linkCounterSeen(target, counter, now);
      this.changed(entry);
    }
  }

  removed(entry: OutboundSa): void {
    this.#deadlines.delete(entry);
    this.#draining.delete(entry);
  }

  close(): void {
    this.#deadlines.close();
  }

  #noteWay({ sa, numbering, ways }: OutboundSa): void {
    const changes = ways.note(sendingWay(numbering), this.#options.clock.now());
    if (changes === 0) return;
    const fields = { sa: sa.id, spi: formatSpi(sa.spi), way: ways.way, count: changes };
    this.#options.log.debug('the SA is sent another way', { ...fields, event: 'way-changed' });
  }

  #carryOut(entry: OutboundSa, action: OwnerAction): void {
    const { cluster, rekeyer, funnel, stamping, clock } = this.#options;
    const sa = entry.sa.id;
    switch (action.kind) {
      case 'store-marks':
        void this.#store(entry, action.marks);
        break;
      case 'sender-id': {
        const peer = cluster.peer(action.target);
        if (peer === undefined || peer.incarnation !== action.incarnation) return;
        peer.senderIds.set(sa, action.senderId);
        if (peer.hasSnapshot) this.#options.install(entry, peer);
        break;
      }
      case 'grant': {
        const { lease, first, count, ttlMs } = action;
        cluster.peer(action.target)?.session?.send('lease-grant', { sa, lease, first, count, ttlMs });
        break;
      }
      case 'revoke':
        cluster.peer(action.target)?.session?.send('lease-revoke', { sa, lease: action.lease });
        break;
      case 'way':
        cluster.peer(action.target)?.session?.send('way', { sa, way: action.way });
        break;
      case 'shared-open':
        if (entry.numbering.sharedWay === 'stamping') stamping().resume(entry, clock.now());
        else funnel().resume(entry, clock.now());
        break;
      case 'rekey':
        rekeyer.request(entry, action.cause);
        break;
    }
  }

  /** Nothing of the new marks is used before the store has them. */
  async #store(entry: OutboundSa, marks: { nextSequence: bigint; nextSenderId: number }): Promise<void> {
    const { store, clock, log } = this.#options;
    try {
      await store.putSa(entry.sa.id, marks);
      entry.numbering.storeDone(marks, clock.now());
    } catch (error) {
      entry.numbering.storeFailed(clock.now());
      log.warn('marks of an SA are not stored', { sa: entry.sa.id, error, event: 'store-failed' });
    }
    this.changed(entry);
  }
}
