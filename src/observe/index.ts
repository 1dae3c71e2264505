export type { LogField, LogFields } from './fields.ts';
export { type ClosableLog, createLog, isJournalStream, type Log, type LogLevel, silentLog } from './log.ts';
export type {
  AdminAnswers,
  AdminCommand,
  AdminHandlers,
  AgentRole,
  CharonSnapshot,
  ConnectionSnapshot,
  Counters,
  CouplingSnapshot,
  CouplingState,
  DropsSnapshot,
  DvipaSnapshot,
  LimitSnapshot,
  SaSnapshot,
  SendingWay,
  StatusSnapshot,
  TargetSnapshot,
} from './snapshots.ts';
export { packageVersion } from './version.ts';
export { renderConnections } from './views/connections.ts';
export { renderDrops } from './views/drops.ts';
export { renderSas } from './views/sas.ts';
export { renderStatus } from './views/status.ts';
export { PLAIN, type Style, styleFor } from './views/style.ts';
export { renderTargets } from './views/targets.ts';
