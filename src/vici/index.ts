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
export {
  type DaemonStats,
  type DaemonVersion,
  initiate,
  type ListSasFilter,
  type LongCommandOptions,
  listSas,
  rekey,
  type SaChoice,
  stats,
  terminate,
  version,
} from './charon/commands.ts';
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
export { parseSaEvent, SA_EVENTS, type SaEvent, subscribeSaEvents } from './charon/sa-events.ts';
export { type ChildSa, type IkeSa, parseChildSa, parseIkeSa } from './charon/sa-list.ts';
export { type EventHandler, type SessionOptions, type SessionState, ViciSession } from './session.ts';
export type { ByteSink, ByteStream } from './stream.ts';
export { formatPretty, formatRaw } from './text.ts';
export { type LabelledMessage, parsePretty } from './text-parse.ts';
