import type { ConnectionCounts, ConnectionSnapshot, TopSource } from './connection-snapshots.ts';
import type { DvipaDetails } from './dvipa-snapshot.ts';
import type { LifesizeSnapshot } from './lifesize-snapshot.ts';
import type { NumberingSnapshot } from './numbering-snapshot.ts';
import type {
  DropsSnapshot,
  FilterSnapshot,
  SaSnapshot,
  StatusSnapshot,
  TargetSnapshot,
} from './snapshots.ts';

/** What each admin command that changes nothing answers. */
export interface AdminAnswers {
  readonly status: StatusSnapshot;
  readonly dvipas: readonly DvipaDetails[];
  readonly sas: readonly SaSnapshot[];
  readonly targets: readonly TargetSnapshot[];
  readonly connections: readonly ConnectionSnapshot[];
  readonly 'connection-counts': ConnectionCounts;
  readonly 'connection-top': readonly TopSource[];
  readonly numbering: readonly NumberingSnapshot[];
  readonly filters: readonly FilterSnapshot[];
  readonly lifesize: LifesizeSnapshot;
  readonly drops: DropsSnapshot;
}

export type AdminCommand = keyof AdminAnswers;

/** They go through a table that may be large, and let packets pass between. */
type LongCommand = 'connections' | 'connection-counts' | 'connection-top';

/** An agent's side of the admin socket: one function per command; it throws what the client is told. */
export type AdminHandlers = {
  readonly [Command in Exclude<AdminCommand, LongCommand>]: (
    args?: Readonly<Record<string, unknown>>,
  ) => AdminAnswers[Command];
} & {
  readonly [Command in LongCommand]: (
    args?: Readonly<Record<string, unknown>>,
  ) => Promise<AdminAnswers[Command]>;
};
