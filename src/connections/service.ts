import { isDeepStrictEqual } from 'node:util';
import { Affinity, type AffinitySetting } from './affinity.ts';
import { KeyedHash } from './connection-key.ts';
import type { ConnectionState } from './connection-table.ts';
import type { DistributionMethod, TargetCounts } from './methods/distribution-method.ts';
import { HotStandby } from './methods/hot-standby.ts';
import { Maglev } from './methods/maglev.ts';
import { MaglevTable } from './methods/maglev-table.ts';
import { ProportionalShare } from './methods/proportional-share.ts';
import { WeightedActive } from './methods/weighted-active.ts';
import { EQUAL_WEIGHTS, type Weights } from './methods/weights.ts';
import { hasTarget, MAX_TARGETS, maskOf, maskOfAll, NO_TARGETS, type TargetMask } from './target-mask.ts';

export type DistributionName = 'round-robin' | 'weighted-active' | 'server-load' | 'hot-standby' | 'maglev';

/** How the new connections of a DVIPA, or of one port of it, are distributed. */
export interface ServiceSettings {
  readonly distribution?: DistributionName;
  /** Indexes, in the order of hot standby. No others get anything. Undefined: whoever is added. */
  readonly targets?: readonly number[];
  /** 1 to 100; 1 for who is not in it. */
  readonly weights?: Weights;
  readonly affinity?: AffinitySetting;
  /** Hot standby: the first target takes over again when it returns. True unless given. */
  readonly switchBack?: boolean;
}

/** Tables of equal targets and weights are one: a DVIPA may have many services. */
export class MaglevTables {
  readonly #hash: KeyedHash;
  readonly #tables = new Map<string, MaglevTable>();

  constructor(seed: Uint8Array) {
    this.#hash = new KeyedHash(seed);
  }

  get(targets: readonly number[], weights: Weights): MaglevTable {
    const ascending = targets.toSorted((a, b) => a - b);
    const name = ascending.map((target) => `${target}*${weights.get(target) ?? 1}`).join();
    const table = this.#tables.get(name) ?? new MaglevTable(this.#hash, ascending, weights);
    this.#tables.set(name, table);
    return table;
  }
}

/**
 * What decides about the connections of one DVIPA, or of one port of it: method, affinity, who is there, and how many connections
 * each has. It chooses, and never makes an entry.
 */
export class DistributedService {
  readonly affinity: Affinity | undefined;
  readonly method: DistributionMethod;
  readonly #tentative = new Int32Array(MAX_TARGETS);
  readonly #active = new Int32Array(MAX_TARGETS);
  readonly counts: TargetCounts = { tentative: this.#tentative, active: this.#active };
  /** Connections that targets open themselves: no load that a method looks at. */
  readonly #opening = new Int32Array(MAX_TARGETS);
  readonly #tables: MaglevTables;
  readonly #settings: ServiceSettings;
  readonly #weights: Weights;
  readonly #only: TargetMask | undefined;
  /** All that its table of hashes was filled with. */
  #configured: readonly number[];
  #maglev: MaglevTable | undefined;
  #available: TargetMask = NO_TARGETS;

  /** `before`: the same service with other settings; where clients are kept in the same way, those that it knows stay. */
  constructor(
    seed: Uint8Array,
    tables: MaglevTables,
    settings: ServiceSettings = {},
    before?: DistributedService,
  ) {
    const { affinity = 'none' } = settings;
    this.#tables = tables;
    this.#settings = settings;
    this.#weights = settings.weights ?? EQUAL_WEIGHTS;
    this.#only = settings.targets === undefined ? undefined : maskOfAll(settings.targets);
    this.#configured = settings.targets ?? [];
    const isKept = before !== undefined && isDeepStrictEqual(before.#settings.affinity, affinity);
    this.affinity = isKept ? before.affinity : affinity === 'none' ? undefined : new Affinity(seed, affinity);
    this.method = this.#methodOf(settings);
  }

  hasSettings(settings: ServiceSettings): boolean {
    return isDeepStrictEqual(this.#settings, settings);
  }

  /** Connections of the target that are not over. */
  connectionsOf(target: number): number {
    return [this.#tentative, this.#active, this.#opening].reduce((sum, of) => sum + (of[target] ?? 0), 0);
  }

  /** They are counted anew: what is told of by `changed` begins with none. */
  forgetCounts(): void {
    for (const counts of [this.#tentative, this.#active, this.#opening]) counts.fill(0);
  }

  /** Targets that get new connections. */
  get available(): TargetMask {
    return this.#available;
  }

  addTarget(target: number): void {
    if (this.#only !== undefined && !hasTarget(this.#only, target)) return;
    if (!this.#configured.includes(target)) {
      this.#configured = [...this.#configured, target];
      this.#maglev = undefined;
    }
    this.#available |= maskOf(target);
    this.method.addTarget(target);
  }

  removeTarget(target: number): void {
    this.#available &= ~maskOf(target);
    this.method.removeTarget(target);
    this.affinity?.removeTarget(target);
  }

  /** By the method: for a packet that opens a connection, and that an entry is made for. */
  choose(candidates: TargetMask, hash: number): number {
    return this.method.choose(candidates, this.counts, hash);
  }

  /** The same target for the same hash, without an entry. */
  chooseByHash(candidates: TargetMask, hash: number): number {
    if (this.method.isStateless) return this.method.choose(candidates, this.counts, hash);
    return this.#table().choose(candidates, hash);
  }

  /** An entry of the connection table has changed. */
  changed(target: number, before: ConnectionState | undefined, after: ConnectionState | undefined): void {
    add(this.#tentative, target, Number(after === 'tentative') - Number(before === 'tentative'));
    add(this.#active, target, Number(after === 'established') - Number(before === 'established'));
    add(this.#opening, target, Number(after === 'opening') - Number(before === 'opening'));
  }

  #table(): MaglevTable {
    this.#maglev ??= this.#tables.get(this.#configured, this.#weights);
    return this.#maglev;
  }

  #methodOf({ distribution = 'round-robin', targets, switchBack }: ServiceSettings): DistributionMethod {
    switch (distribution) {
      case 'round-robin':
        return new ProportionalShare(this.#weights);
      case 'server-load':
        return new ProportionalShare(this.#weights, true);
      case 'weighted-active':
        return new WeightedActive(this.#weights);
      case 'hot-standby':
        return new HotStandby(targets, switchBack);
      case 'maglev':
        return new Maglev(() => this.#table());
    }
  }
}

function add(counts: Int32Array, target: number, by: number): void {
  counts[target] = (counts[target] as number) + by;
}
