import type { SaId } from '../ipsec/sa.ts';
import { Monotonic, StoreError } from './monotonic.ts';
import { encodeDvipaState, encodeMarks, parseDvipaState, parseMarks } from './state-codec.ts';
import type { CouplingStore, DvipaState, SaMarks, StoreSnapshot } from './store.ts';

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

  constructor(port: PluginStatePort, onDoubtful: (of: string) => void = () => undefined) {
    this.#port = port;
    this.#onDoubtful = onDoubtful;
  }

  async load(): Promise<StoreSnapshot> {
    const kept = await failing(this.#port.list());
    const sas = this.#parseAll(kept.sas, parseMarks);
    const dvipas = this.#parseAll(kept.dvipas, parseDvipaState);
    this.#monotonic.reset(sas, dvipas);
    return { sas, dvipas };
  }

  async putSa(id: SaId, marks: SaMarks): Promise<void> {
    const state = encodeMarks(marks);
    this.#monotonic.advanceSa(id, marks);
    await failing(this.#port.putSa(id, state));
  }

  /** The plugin forgets by itself. */
  forgetSa(id: SaId): void {
    this.#monotonic.forgetSa(id);
  }

  async putDvipa(dvipa: string, state: DvipaState): Promise<void> {
    const bytes = encodeDvipaState(state);
    this.#monotonic.advanceDvipa(dvipa, state);
    await failing(this.#port.putDvipa(dvipa, bytes));
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
