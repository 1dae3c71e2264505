import type { SaId } from '../ipsec/sa.ts';
import type { DvipaState, SaMarks } from './store.ts';

/** A put was refused, or its fate is not known; what it says may not be acted on. */
export class StoreError extends Error {
  /** `regression`: below what was put before; `unknown-sa`: of another life of charon; `failed`: see `cause`. */
  readonly code: 'regression' | 'unknown-sa' | 'failed';

  constructor(code: StoreError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreError';
    this.code = code;
  }
}

/**
 * Nothing goes back: not a mark (a number would be used twice), not an epoch (a fenced owner would return). Every
 * back end asks here first. It counts what was tried, stored or not: a put that failed may have arrived.
 */
export class Monotonic {
  readonly #marks = new Map<SaId, SaMarks>();
  readonly #epochs = new Map<string, number>();

  /** Throws StoreError `regression`. */
  advanceSa(id: SaId, marks: SaMarks): void {
    const before = this.#marks.get(id);
    if (before !== undefined && isBelow(marks, before)) {
      throw new StoreError('regression', 'marks of an SA would go back');
    }
    this.#marks.set(id, marks);
  }

  forgetSa(id: SaId): void {
    this.#marks.delete(id);
  }

  /** Throws StoreError `regression`. */
  advanceDvipa(dvipa: string, state: DvipaState): void {
    if (state.epoch < (this.#epochs.get(dvipa) ?? 0)) {
      throw new StoreError('regression', 'epoch of a DVIPA would go back');
    }
    this.#epochs.set(dvipa, state.epoch);
  }

  /** What a `load` found; SAs that it did not find are gone. */
  reset(sas: ReadonlyMap<SaId, SaMarks>, dvipas: ReadonlyMap<string, DvipaState>): void {
    this.#marks.clear();
    for (const [id, marks] of sas) this.#marks.set(id, marks);
    for (const [dvipa, { epoch }] of dvipas) {
      this.#epochs.set(dvipa, Math.max(epoch, this.#epochs.get(dvipa) ?? 0));
    }
  }
}

function isBelow(marks: SaMarks, before: SaMarks): boolean {
  return marks.nextSequence < before.nextSequence || marks.nextSenderId < before.nextSenderId;
}
