export interface ConnectionSnapshot {
  readonly dvipa: string;
  /** SA group: one peer's SAs with one reqid. */
  readonly group: number;
  /** IP protocol number. */
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly target: string;
  readonly state: 'tentative' | 'opening' | 'confirmed' | 'closing';
  /** Routing host: until it is forgotten unless its target reports it again. */
  readonly remainingMs?: number | undefined;
}

/** How many connections there are, by target and state; targets without one are left out. */
export interface ConnectionCounts {
  readonly total: number;
  readonly targets: readonly {
    readonly target: string;
    readonly tentative: number;
    readonly opening: number;
    readonly confirmed: number;
    readonly closing: number;
  }[];
}

/** A peer's inner address with its connections. */
export interface TopSource {
  readonly source: string;
  readonly group: number;
  readonly connections: number;
  /** There are very many sources: `connections` may be too low by so much. */
  readonly error?: number | undefined;
  /** Routing host: what the SAs of the group carried, those that there are now; absent for connections in clear. */
  readonly bytes?: number | undefined;
  readonly packets?: number | undefined;
}
