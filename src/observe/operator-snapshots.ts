/** What commands that change something answer. */

/** `drain`, `undrain`: the target as it is now. */
export interface DrainSnapshot {
  readonly target: string;
  /** DVIPAs for which it gets no new connections. */
  readonly draining: readonly string[];
  /** It says that it is in maintenance itself: that is not taken back here. */
  readonly maintenance: boolean;
  /** False: it holds, and a restart of the agent will not know it. */
  readonly isStored: boolean;
  /** DVIPAs that no target is left for, as far as new connections go. */
  readonly unserved: readonly string[];
}

/** `maintenance`: of this host. */
export interface MaintenanceSnapshot {
  readonly host: string;
  readonly isOn: boolean;
  /** The routing host knows. */
  readonly isReported: boolean;
  /** Open connections of its applications on DVIPAs. */
  readonly connections: number;
}

/** `rekey`: SAs that charon was asked to rekey. Both directions of a CHILD_SA are one. */
export interface RekeySnapshot {
  readonly asked: readonly {
    readonly spi: string;
    readonly direction: 'in' | 'out';
    readonly ikeName?: string | undefined;
    readonly childName?: string | undefined;
    /** `waiting`: the answer of charon is still to come. */
    readonly outcome: 'taken' | 'refused' | 'waiting';
  }[];
}
