import type { LifesizeMarks } from '../ipsec/lifesize-marks.ts';
import type { SaId } from '../ipsec/sa.ts';

/** Marks of one outbound SA: nothing at or above them has been used. Missing or doubtful: send nothing, rekey. */
export interface SaMarks {
  /** Next sequence number that is certainly unused (64 bits). */
  readonly nextSequence: bigint;
  /** Next sender id that is certainly unused (OUTBOUND rules: never again under this key). */
  readonly nextSenderId: number;
}

/** Everything that is kept of one SA, each part put by another machine. */
export interface SaState {
  readonly marks?: SaMarks | undefined;
  readonly lifesize?: LifesizeMarks | undefined;
}

/** What one DVIPA needs over a restart of the routing agent. */
export interface DvipaState {
  /** The epoch that was last in use; the next owner uses a higher one. */
  readonly epoch: number;
  /** Targets that an operator has drained: fingerprints of their names, 16 hex digits each. None, unless given. */
  readonly drained?: readonly string[];
}

export interface StoreSnapshot {
  readonly sas: ReadonlyMap<SaId, SaMarks>;
  readonly lifesizes: ReadonlyMap<SaId, LifesizeMarks>;
  readonly dvipas: ReadonlyMap<string, DvipaState>;
}

/** The coupling store. A `put` resolves only when the value would survive `kill -9` of this agent; act on it only then. */
export interface CouplingStore {
  load(): Promise<StoreSnapshot>;
  /** An SA was listed with this state, put by an earlier life: a part that is put from now on leaves the others as they are. */
  restored(id: SaId, state: SaState): void;
  putSa(id: SaId, marks: SaMarks): Promise<void>;
  putLifesize(id: SaId, lifesize: LifesizeMarks): Promise<void>;
  /** The SA was deleted, its marks with it: nothing is put for it any more. */
  forgetSa(id: SaId): void;
  /** As `restored`. */
  restoredDvipa(dvipa: string, state: DvipaState): void;
  putEpoch(dvipa: string, epoch: number): Promise<void>;
  putDrained(dvipa: string, drained: readonly string[]): Promise<void>;
}
