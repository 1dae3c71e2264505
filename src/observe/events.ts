/**
 * What an agent tells as an event: a line of its log with one of these names in the field `event` (`recordingLog`). People alert on
 * them, so the names are stable; docs/events.md explains each.
 */
export const EVENT_NAMES = [
  // of either agent
  'agent-started',
  'drops',
  'guard-repaired',
  'reloaded',
  'reload-refused',
  'sa-refused',
  'sa-removed',
  // charon and the store
  'charon-connected',
  'charon-restarted',
  'charon-lost',
  'owner',
  'epoch-raised',
  'store-doubtful',
  'store-failed',
  // SAs on the routing host
  'sa-added',
  'rekey-requested',
  'rekey-repeated',
  'rekey-refused',
  'rekey-finished',
  'hard-limit',
  'windows-lost',
  'way-changed',
  'peer-moved',
  'opened-in-place',
  'attack-suspected',
  'keys-exported',
  // targets, as the routing host sees them
  'target-up',
  'target-down',
  'target-dead',
  'target-draining',
  'target-undrained',
  'target-leaving',
  'target-removed',
  // on a target
  'sa-installed',
  'router-up',
  'router-down',
  'snapshot-complete',
  'maintenance-on',
  'maintenance-off',
] as const;

export type EventName = (typeof EVENT_NAMES)[number];
