import type { LifesizeMarks } from '../ipsec/lifesize-marks.ts';
import type { SaId } from '../ipsec/sa.ts';
import { checkLifesize } from './lifesize-codec.ts';
import { Monotonic, StoreError } from './monotonic.ts';
import { checkMarks, encodeDvipaState, encodeSaState, parseDvipaState, parseSaState } from './state-codec.ts';
import type { CouplingStore, DvipaState, SaMarks, SaState, StoreSnapshot } from './store.ts';

/** What the store needs of the session with the charon plugin; `agents/plugin-sa.ts` makes one. */
export interface PluginStatePort {
  /** Everything that was put and is still kept: SAs that charon deleted are gone. */
  list(): Promise<{ readonly sas: ReadonlyMap<SaId, Buffer>; readonly dvipas: ReadonlyMap<string, Buffer> }>;
  /** Resolves when the plugin has stored it. Rejects if the SA belongs to another life of charon. */
  putSa(id: SaId, state: Uint8Array): Promise<void>;
  putDvipa(dvipa: string, state: Uint8Array): Promise<void>;
}

/**
 * The store of a single routing host: marks live in charon's memory, beside the keys, and die with them. Entries that
 * cannot be read are left out of the snapshot, and told to `onDoubtful`: to the rules of numbering they are missing.
 */
export class PluginStore implements CouplingStore {
  readonly #port: PluginStatePort;
  readonly #onDoubtful: (of: string) => void;
  readonly #monotonic = new Monotonic();
  /** The plugin keeps one state of an SA; its parts come from several machines. */
  readonly #states = new Map<SaId, SaState>();
  readonly #dvipas = new Map<string, DvipaState>();

  constructor(port: PluginStatePort, onDoubtful: (of: string) => void = () => undefined) {
    this.#port = port;
    this.#onDoubtful = onDoubtful;
  }

  async load(): Promise<StoreSnapshot> {
    const kept = await failing(this.#port.list());
    const states = this.#parseAll(kept.sas, parseSaState);
    const dvipas = this.#parseAll(kept.dvipas, parseDvipaState);
    const sas = new Map<SaId, SaMarks>();
    const lifesizes = new Map<SaId, LifesizeMarks>();
    this.#states.clear();
    this.#dvipas.clear();
    for (const [dvipa, state] of dvipas) this.#dvipas.set(dvipa, state);
    for (const [id, state] of states) {
      this.#states.set(id, state);
      if (state.marks !== undefined) sas.set(id, state.marks);
      if (state.lifesize !== undefined) lifesizes.set(id, state.lifesize);
    }
    const snapshot = { sas, lifesizes, dvipas };
    this.#monotonic.reset(snapshot);
    return snapshot;
  }

  restored(id: SaId, state: SaState): void {
    this.#states.set(id, state);
  }

  async putSa(id: SaId, marks: SaMarks): Promise<void> {
    checkMarks(marks);
    this.#monotonic.advanceSa(id, marks);
    await this.#put(id, { marks });
  }

  async putLifesize(id: SaId, lifesize: LifesizeMarks): Promise<void> {
    checkLifesize(lifesize);
    this.#monotonic.advanceLifesize(id, lifesize);
    await this.#put(id, { lifesize });
  }

  /** The plugin forgets by itself. */
  forgetSa(id: SaId): void {
    this.#monotonic.forgetSa(id);
    this.#states.delete(id);
  }

  restoredDvipa(dvipa: string, state: DvipaState): void {
    this.#dvipas.set(dvipa, state);
  }

  async putEpoch(dvipa: string, epoch: number): Promise<void> {
    await this.#putDvipa(dvipa, { epoch });
  }

  async putDrained(dvipa: string, drained: readonly string[]): Promise<void> {
    await this.#putDvipa(dvipa, { drained });
  }

  async #putDvipa(dvipa: string, part: Partial<DvipaState>): Promise<void> {
    const state = { epoch: 0, ...this.#dvipas.get(dvipa), ...part };
    const bytes = encodeDvipaState(state);
    this.#monotonic.advanceDvipa(dvipa, state);
    this.#dvipas.set(dvipa, state);
    await failing(this.#port.putDvipa(dvipa, bytes));
  }

  /** Puts go out in their order, so the last one has the newest of every part. */
  async #put(id: SaId, part: SaState): Promise<void> {
    const state = { ...this.#states.get(id), ...part };
    this.#states.set(id, state);
    await failing(this.#port.putSa(id, encodeSaState(state)));
  }

  #parseAll<K extends string, V>(
    kept: ReadonlyMap<K, Buffer>,
    parse: (bytes: Buffer) => V | undefined,
  ): Map<K, V> {
    const parsed = new Map<K, V>();
    for (const [key, bytes] of kept) {
      const value = parse(bytes);
      if (value === undefined) this.#onDoubtful(key);
      else parsed.set(key, value);
    }
    return parsed;
  }
}

async function failing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError('failed', 'the plugin did not store, or did not say so', error);
  }
}
