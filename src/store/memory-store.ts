import type { LifesizeMarks } from '../ipsec/lifesize-marks.ts';
import type { SaId } from '../ipsec/sa.ts';
import { checkLifesize } from './lifesize-codec.ts';
import { Monotonic } from './monotonic.ts';
import { checkDvipaState, checkMarks } from './state-codec.ts';
import type { CouplingStore, DvipaState, SaMarks, SaState, StoreSnapshot } from './store.ts';

/**
 * A store in memory, for tests and simulations: it survives the agent exactly if the test keeps it. Production
 * uses `plugin-store.ts`.
 */
export class MemoryStore implements CouplingStore {
  readonly #sas = new Map<SaId, SaMarks>();
  readonly #lifesizes = new Map<SaId, LifesizeMarks>();
  readonly #dvipas = new Map<string, DvipaState>();
  readonly #monotonic = new Monotonic();

  async load(): Promise<StoreSnapshot> {
    return {
      sas: new Map(this.#sas),
      lifesizes: new Map(this.#lifesizes),
      dvipas: new Map(this.#dvipas),
    };
  }

  /** It has it. */
  restored(_id: SaId, _state: SaState): void {}

  async putSa(id: SaId, marks: SaMarks): Promise<void> {
    checkMarks(marks);
    this.#monotonic.advanceSa(id, marks);
    this.#sas.set(id, marks);
  }

  async putLifesize(id: SaId, lifesize: LifesizeMarks): Promise<void> {
    checkLifesize(lifesize);
    this.#monotonic.advanceLifesize(id, lifesize);
    this.#lifesizes.set(id, lifesize);
  }

  forgetSa(id: SaId): void {
    this.#monotonic.forgetSa(id);
    this.#sas.delete(id);
    this.#lifesizes.delete(id);
  }

  /** It has it. */
  restoredDvipa(_dvipa: string, _state: DvipaState): void {}

  async putEpoch(dvipa: string, epoch: number): Promise<void> {
    this.#putDvipa(dvipa, { epoch });
  }

  async putDrained(dvipa: string, drained: readonly string[]): Promise<void> {
    this.#putDvipa(dvipa, { drained });
  }

  #putDvipa(dvipa: string, part: Partial<DvipaState>): void {
    const state = { epoch: 0, ...this.#dvipas.get(dvipa), ...part };
    checkDvipaState(state);
    this.#monotonic.advanceDvipa(dvipa, state);
    this.#dvipas.set(dvipa, state);
  }
}
