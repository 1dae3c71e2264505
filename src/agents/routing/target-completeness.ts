import type { Log } from '../../observe/log.ts';
import type { DvipaService } from './dvipa-service.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** A target that was lost is taken for dead after so long: then nobody has its connections any more. */
export const TAKEN_FOR_DEAD_MS = 30_000;

export interface TargetCompletenessOptions {
  readonly cluster: Cluster;
  readonly log: Log;
  readonly now: () => number;
  /** Before this host is the owner no target can come. */
  readonly isOwner: () => boolean;
}

interface Awaited {
  /** When it was lost, or (never seen yet) since when it could have come. */
  readonly since: number;
  /** Its life then; undefined: any may come. */
  readonly incarnation: bigint | undefined;
}

/**
 * Are all connections of a DVIPA known? Not from the loss of one of its targets until the same life of it is back and has listed its
 * connections, or is taken for dead; and not after a start of this agent until all targets have listed theirs. Meanwhile a segment that goes
 * by hash may be of a connection that lives elsewhere, so targets withhold resets: they are told of each change.
 * A target whose agent was restarted has nothing to list, but its kernel still has its sockets: it is waited for to the end, so that
 * what these send makes their connections known.
 */
export class TargetCompleteness {
  readonly #options: TargetCompletenessOptions;
  readonly #awaited = new Map<TargetPeer, Awaited>();
  readonly #hasListed = new Set<TargetPeer>();
  readonly #complete = new Set<DvipaService>();

  constructor(options: TargetCompletenessOptions) {
    this.#options = options;
    this.#begin();
  }

  isComplete(service: DvipaService): boolean {
    return this.#complete.has(service);
  }

  /** The session ended. What was never listed is not waited for anew, or a target that comes and goes would be for ever. */
  lost(peer: TargetPeer): void {
    if (!this.#hasListed.delete(peer)) return;
    this.#awaited.set(peer, { since: this.#options.now(), incarnation: peer.incarnation });
    this.#changed();
  }

  /** The target has listed all its connections. */
  listed(peer: TargetPeer): void {
    this.#hasListed.add(peer);
    const awaited = this.#awaited.get(peer);
    if (awaited?.incarnation !== undefined && awaited.incarnation !== peer.incarnation) return;
    this.#awaited.delete(peer);
    this.#changed();
  }

  /** Its connections are nobody's any more. */
  removed(peer: TargetPeer): void {
    this.#hasListed.delete(peer);
    this.#awaited.delete(peer);
  }

  /** DVIPAs, or who serves them, are others. Who is new has never had a connection. */
  refresh(): void {
    const services = new Set(this.#options.cluster.dvipas.values());
    for (const service of this.#complete) if (!services.has(service)) this.#complete.delete(service);
    this.#changed();
  }

  /** Call it regularly. */
  tick(): void {
    const { isOwner, now, log } = this.#options;
    if (!isOwner()) {
      this.#begin();
      return;
    }
    const diedBefore = now() - TAKEN_FOR_DEAD_MS;
    for (const [peer, { since }] of this.#awaited) {
      if (since > diedBefore) continue;
      this.#awaited.delete(peer);
      if (!this.#hasListed.has(peer))
        log.warn('target is taken for dead', { target: peer.host, event: 'target-dead' });
      this.#changed();
    }
  }

  #begin(): void {
    const since = this.#options.now();
    for (const peer of this.#options.cluster.peers)
      this.#awaited.set(peer, { since, incarnation: undefined });
  }

  #changed(): void {
    const { cluster, log } = this.#options;
    for (const service of cluster.dvipas.values()) {
      const complete = cluster.authorised(service).every((peer) => !this.#awaited.has(peer));
      if (complete === this.#complete.has(service)) continue;
      if (complete) this.#complete.add(service);
      else this.#complete.delete(service);
      const dvipa = service.record.address;
      log.info(complete ? 'connections are complete' : 'connections are not complete', { dvipa });
      for (const peer of cluster.connected(service)) peer.session?.send('completeness', { dvipa, complete });
    }
  }
}
