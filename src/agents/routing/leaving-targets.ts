import type { Distributor } from '../../connections/distributor.ts';
import type { Log } from '../../observe/log.ts';
import type { Authority } from './target-peers.ts';

/** Connections of a target that was taken out of the configuration may go on for so long. */
export const LEAVING_MS = 60_000;
/** Without connections it is out after so long: what is on its way to it still comes, and late segments are answered. */
export const LINGER_MS = 2000;

interface Leaving extends Authority {
  readonly until: number;
  /** Since when it has had no connection. */
  idleSince: number | undefined;
}

export interface LeavingTargetsOptions {
  readonly log: Log;
  readonly now: () => number;
  readonly distributor: Pick<Distributor, 'connectionsOf'>;
  /** Its connections are over, or its time is. */
  readonly out: (authority: Authority) => void;
}

/**
 * Targets that a reload has taken from a DVIPA: they get no new connections, and those that they have may end by themselves, for a
 * while. Then they are out.
 */
export class LeavingTargets {
  readonly #options: LeavingTargetsOptions;
  #all: Leaving[] = [];

  constructor(options: LeavingTargetsOptions) {
    this.#options = options;
  }

  /** All that are leaving, as another configuration says: who is leaving already goes on, who is not named stays after all. */
  set(authorities: readonly Authority[]): void {
    const { now, log } = this.#options;
    const until = now() + LEAVING_MS;
    this.#all = authorities.map((each) => {
      const known = this.#all.find(({ service, peer }) => service === each.service && peer === each.peer);
      if (known !== undefined) return known;
      log.info('target leaves', {
        target: each.peer.host,
        dvipa: each.service.record.address,
        event: 'target-leaving',
      });
      return { ...each, until, idleSince: undefined };
    });
  }

  get all(): readonly Authority[] {
    return this.#all;
  }

  /** Call it about every 50 ms. */
  tick(now: number): void {
    if (this.#all.length === 0) return;
    const out = this.#all.filter((each) => this.#isOut(each, now));
    if (out.length === 0) return;
    this.#all = this.#all.filter((each) => !out.includes(each));
    for (const authority of out) this.#options.out(authority);
  }

  #isOut(leaving: Leaving, now: number): boolean {
    const { service, peer, until } = leaving;
    const connections = this.#options.distributor.connectionsOf(service.address, peer.index);
    if (peer.session === undefined) return true;
    if (connections > 0) leaving.idleSince = undefined;
    else leaving.idleSince ??= now;
    if (now >= until) {
      const fields = { target: peer.host, dvipa: service.record.address, connections };
      if (connections > 0) this.#options.log.warn('connections of a target that leaves are ended', fields);
      return true;
    }
    return leaving.idleSince !== undefined && now - leaving.idleSince >= LINGER_MS;
  }
}
