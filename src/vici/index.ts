/**
 * A client of VICI, strongSwan's control interface: the whole protocol, typed commands and events, sessions that
 * reconnect. Usable on its own; see docs/vici.md.
 *
 * - one short conversation: `connect`, `ViciConnection`, a command such as `version` or `listSas`
 * - a lasting one: `ViciSession` (or `openSession`), with `subscribeSaEvents` or `subscribe`
 * - the plugin kernel-dvipa: `PluginSession` and its commands
 * - messages as text, as swanctl prints them: `formatRaw`, `formatPretty`, `parsePretty`
 * - below all that: `ViciMessage`, `encodePacket`, `decodePacket`, `FrameReader`
 */
export type { Clock, Timer } from '../base/clock.ts';
export { systemClock } from '../base/clock.ts';
export { KeyMaterial } from '../base/key-material.ts';
export { type BackoffOptions, DEFAULT_BACKOFF } from './backoff.ts';
export type { CallOptions } from './call.ts';
export { decodeMessage, encodeMessage, MAX_DEPTH, MAX_ELEMENTS, MAX_FRAME_BYTES } from './codec.ts';
export { type Alert, parseAlert, subscribeAlerts } from './charon/alerts.ts';
export { type Algorithm, type Algorithms, getAlgorithms } from './charon/algorithms.ts';
export * from './charon/authorities.ts';
export * from './charon/certificates.ts';
export { type ChildSa, type Mark, parseChildSa } from './charon/child-sa.ts';
export type {
  AuthConfig,
  BytesOption,
  CertificateSource,
  ChildAction,
  ChildConfig,
  ConnectionConfig,
  TimeOption,
} from './charon/connection-config.ts';
export * from './charon/connection-list.ts';
export { getConnections, loadConnection, unloadConnection } from './charon/connections.ts';
export * from './charon/control.ts';
export { type LogLine, parseLogLine, subscribeLog } from './charon/control-log.ts';
export * from './charon/counters.ts';
export * from './charon/credentials.ts';
export * from './charon/daemon.ts';
export { type IkeUpdate, parseIkeUpdate, subscribeIkeUpdates } from './charon/ike-update.ts';
export { listPolicies, type ListPoliciesFilter, parsePolicy, type Policy } from './charon/policies.ts';
export * from './charon/pools.ts';
export { parseSaEvent, SA_EVENTS, type SaEvent, subscribeSaEvents } from './charon/sa-events.ts';
export { type IkeSa, parseIkeSa } from './charon/ike-sa.ts';
export { listSas, type ListSasFilter } from './charon/sas.ts';
export { STOCK_COMMANDS, STOCK_EVENTS } from './charon/stock.ts';
export { connect, DEFAULT_URI, openSession } from './connect.ts';
export { type ConnectionOptions, type Requester, ViciConnection } from './connection.ts';
export { ViciError, type ViciErrorCode } from './error.ts';
export { FrameReader } from './framing.ts';
export { type ViciFields, type ViciInput, ViciMessage, type ViciValue } from './message.ts';
export { decodePacket, encodePacket, type ViciPacket, type ViciPacketType } from './packet.ts';
export {
  acknowledge,
  acquireSa,
  expireSa,
  listPlugin,
  type PluginVersion,
  pluginVersion,
  pushCounters,
  putState,
  reportMapping,
  type SaCounters,
} from './plugin/commands.ts';
export { type PluginHandlers, PluginSession } from './plugin/session.ts';
export * from './plugin/types.ts';
export { type EventHandler, type SessionOptions, type SessionState, ViciSession } from './session.ts';
export type { ByteSink, ByteStream } from './stream.ts';
export { formatPretty, formatRaw } from './text.ts';
export { type LabelledMessage, parsePretty } from './text-parse.ts';
