import type { LifesizeMarks } from '../ipsec/lifesize-marks.ts';
import type { LifesizeCredit } from '../ipsec/lifesize-meter.ts';
import type { SaId } from '../ipsec/sa.ts';
import type { DvipaState, SaMarks, StoreSnapshot } from './store.ts';

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
 * Nothing goes back: not a mark (a number would be used twice), not what was charged (a limit would be passed), not an epoch (a fenced owner would return). Every
 * back end asks here first. It counts what was tried, stored or not: a put that failed may have arrived.
 */
export class Monotonic {
  readonly #marks = new Map<SaId, SaMarks>();
  readonly #charged = new Map<SaId, LifesizeCredit>();
  readonly #epochs = new Map<string, number>();

  /** Throws StoreError `regression`. */
  advanceSa(id: SaId, marks: SaMarks): void {
    const before = this.#marks.get(id);
    if (before !== undefined && isBelow(marks, before)) {
      throw new StoreError('regression', 'marks of an SA would go back');
    }
    this.#marks.set(id, marks);
  }

  /** What counts against the limits, if everybody has used all of his credit. Throws StoreError `regression`. */
  advanceLifesize(id: SaId, lifesize: LifesizeMarks): void {
    const charged = chargedOf(lifesize);
    const before = this.#charged.get(id);
    if (before !== undefined && (charged.bytes < before.bytes || charged.packets < before.packets)) {
      throw new StoreError('regression', 'lifesize of an SA would go back');
    }
    this.#charged.set(id, charged);
  }

  forgetSa(id: SaId): void {
    this.#marks.delete(id);
    this.#charged.delete(id);
  }

  /** Throws StoreError `regression`. */
  advanceDvipa(dvipa: string, state: DvipaState): void {
    if (state.epoch < (this.#epochs.get(dvipa) ?? 0)) {
      throw new StoreError('regression', 'epoch of a DVIPA would go back');
    }
    this.#epochs.set(dvipa, state.epoch);
  }

  /** What a `load` found; SAs that it did not find are gone. */
  reset({ sas, lifesizes, dvipas }: StoreSnapshot): void {
    this.#marks.clear();
    this.#charged.clear();
    for (const [id, marks] of sas) this.#marks.set(id, marks);
    for (const [id, lifesize] of lifesizes) this.#charged.set(id, chargedOf(lifesize));
    for (const [dvipa, { epoch }] of dvipas) {
      this.#epochs.set(dvipa, Math.max(epoch, this.#epochs.get(dvipa) ?? 0));
    }
  }
}

function isBelow(marks: SaMarks, before: SaMarks): boolean {
  return marks.nextSequence < before.nextSequence || marks.nextSenderId < before.nextSenderId;
}

function chargedOf({ closedCharged, accounts }: LifesizeMarks): LifesizeCredit {
  const add = (a: number, b: number) => Math.min(a + b, Number.MAX_SAFE_INTEGER);
  return accounts.reduce(
    (sum, { credit }) => ({
      bytes: add(sum.bytes, credit.bytes),
      packets: add(sum.packets, credit.packets),
    }),
    closedCharged,
  );
}
