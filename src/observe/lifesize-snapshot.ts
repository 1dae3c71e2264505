/** Limits of one unit; 0 = none. */
export interface LimitSnapshot {
  readonly soft: number;
  readonly hard: number;
}

/** Bytes and packets; absent: that unit has no limit, so no credit is kept in it. */
export interface LifesizeUseSnapshot {
  readonly bytes?: number | undefined;
  readonly packets?: number | undefined;
}

/** What one user of an SA may use in all, and what it reported of that. */
export interface CreditSnapshot {
  /** A target's name; on the routing host `(funnel)` is the host itself; `#...` one from before a restart that has not come back. */
  readonly user: string;
  readonly credit: LifesizeUseSnapshot;
  readonly reported: LifesizeUseSnapshot;
  /** It is gone: its whole credit counts as used. */
  readonly isLost: boolean;
}

/** A rekey that an SA needed. */
export interface AskedRekeySnapshot {
  readonly reason: string;
  readonly agoMs: number;
  /** More than 1: charon did not finish it. */
  readonly attempts: number;
}

export interface SaLifesizeSnapshot {
  readonly id: string;
  readonly spi: string;
  readonly direction: 'in' | 'out';
  readonly peer: string;
  readonly ikeName?: string | undefined;
  readonly childName?: string | undefined;
  /** As in `sas`. */
  readonly bytes: number;
  readonly packets: number;
  readonly limits: { readonly bytes: LimitSnapshot; readonly packets: LimitSnapshot };
  /** Routing host: what counts against the limits; with the whole credit of those who are lost. */
  readonly charged?: { readonly bytes: number; readonly packets: number } | undefined;
  /** Routing host: kept below the hard limit for the traffic of a rekey. */
  readonly reserve?: LifesizeUseSnapshot | undefined;
  /** Routing host: every user. Target: this host. */
  readonly credits: readonly CreditSnapshot[];
  /** Routing host. */
  readonly percentage?: number | undefined;
  readonly rekeys?: readonly AskedRekeySnapshot[] | undefined;
}

/** A generation of the SAs of a configuration: how its refresh came out. */
export interface GenerationSnapshot {
  readonly generation: number;
  readonly agoMs: number;
  readonly outcome: 'in-time' | 'late' | 'hard-limit';
  /** The limit that was nearest: of which SA and unit, and the cluster's total when charon switched outbound. */
  readonly direction: 'in' | 'out';
  readonly unit: 'bytes' | 'packets';
  readonly total: number;
  readonly soft: number;
  readonly hard: number;
  /** From the request to the switch; absent: this agent did not ask. */
  readonly rekeyMs?: number | undefined;
  readonly percentageBefore: number;
  readonly percentageAfter: number;
}

/** One peer under one CHILD_SA configuration. */
export interface LifesizeConfigurationSnapshot {
  readonly ikeName: string;
  readonly childName: string;
  /** The peer's identity. */
  readonly peer: string;
  readonly sas: number;
  readonly percentage: number;
  /** 99 of 100 rekeys take no longer; the default until some were measured. */
  readonly rekeyMs: number;
  readonly rekeysMeasured: number;
  /** Oldest first, at most 16. */
  readonly history: readonly GenerationSnapshot[];
}

/** Rekeys for one reason. */
export interface RekeyCountSnapshot {
  readonly reason: string;
  readonly needs: number;
  readonly finished: number;
  readonly repeated: number;
  readonly refused: number;
}

export interface LifesizeSnapshot {
  readonly sas: readonly SaLifesizeSnapshot[];
  /** Routing host only, as all that follows. */
  readonly configurations: readonly LifesizeConfigurationSnapshot[];
  readonly rekeys: readonly RekeyCountSnapshot[];
  /** SAs that a hard limit of bytes or packets ended. */
  readonly hardLimits: number;
}
