import { copyAddress } from '../packet/address.ts';
import { type ConnectionKey, newConnectionKey } from './connection-key.ts';
import { ConnectionTable } from './connection-table.ts';
import { hasTarget, type TargetMask } from './target-mask.ts';
import { DEFAULT_CONNECTION_TIMEOUTS } from './timeouts.ts';

/**
 * What keeps a client on one target: nothing; its address, for so long after its last sign of a confirmed connection (LVS:
 * persistence; z/OS: TIMEDAFFINITY); or its SA group, as long as that exists.
 */
export type AffinitySetting = 'none' | 'sa' | { readonly sourceSeconds: number };

/** Clients remembered for one service; of one SA group, which may stand for a whole network, a quarter. */
const CAPACITY = 2 ** 14;
const PER_GROUP = CAPACITY / 4;
/** Choices for packets that nothing has authenticated yet. */
const TENTATIVE_PER_GROUP = 64;
const TENTATIVE_TOTAL = 1024;

/**
 * Which target the clients of one service are on. A choice for an unauthenticated packet is remembered for seconds and within
 * quotas; it lasts when a target has confirmed a connection, and only confirmed connections refresh it. Clients of different SA
 * groups are never the same one, whatever their addresses are.
 */
export class Affinity {
  readonly #table: ConnectionTable;
  readonly #bySource: boolean;
  readonly #key = newConnectionKey();

  /** `seed`: `HASH_SEED_BYTES` secret bytes. */
  constructor(seed: Uint8Array, setting: Exclude<AffinitySetting, 'none'>) {
    this.#bySource = setting !== 'sa';
    this.#table = new ConnectionTable({
      seed,
      capacity: CAPACITY,
      tentativePerGroup: TENTATIVE_PER_GROUP,
      tentativeTotal: TENTATIVE_TOTAL,
      timeouts: {
        tentativeMs: DEFAULT_CONNECTION_TIMEOUTS.tentativeMs,
        establishedMs: setting === 'sa' ? Number.POSITIVE_INFINITY : setting.sourceSeconds * 1000,
      },
    });
  }

  /** Clients remembered. */
  get size(): number {
    return this.#table.size;
  }

  /** The target of the connection's client, or -1. Allocates nothing. */
  lookup(key: ConnectionKey): number {
    return this.#table.lookup(this.#client(key));
  }

  /** A keyed hash of the client: where nothing is remembered, all its connections still go one way. */
  hashOf(key: ConnectionKey): number {
    return this.#table.hashOf(this.#client(key));
  }

  /** A target was chosen for an unauthenticated packet. False: the quota is used up, or a target is known. */
  remember(key: ConnectionKey, target: number, now: number): boolean {
    return this.#table.addTentative(this.#client(key), target, now);
  }

  hasRoomFor(group: number): boolean {
    return this.#table.hasRoomFor(group);
  }

  /**
   * The target has a confirmed connection of the client. If the client is on another one, it stays there as long as that is one of
   * `usable` (there, not drained, listening) and has confirmed it.
   */
  confirmed(key: ConnectionKey, target: number, usable: TargetMask, now: number): void {
    const client = this.#client(key);
    const known = this.#table.lookup(client);
    if (known >= 0 && known !== target) {
      if (this.#table.isConfirmed(client) && hasTarget(usable, known)) return;
      this.#table.remove(client);
    }
    if (known < 0 && this.#table.sizeOf(key.group) >= PER_GROUP) return;
    this.#table.confirm(client, target, now);
  }

  /** The target is drained or lost: its clients are free. */
  removeTarget(target: number): void {
    this.#table.removeTarget(target);
  }

  removeGroup(group: number): void {
    this.#table.removeGroup(group);
  }

  /** Forgets what has expired, a part of the table each time. */
  sweep(now: number): void {
    if (this.#table.size > 0) this.#table.sweep(now);
  }

  #client(key: ConnectionKey): ConnectionKey {
    const client = this.#key;
    copyAddress(key.dvipa, 0, client.dvipa, 0);
    client.group = key.group;
    if (this.#bySource) copyAddress(key.source, 0, client.source, 0);
    return client;
  }
}
