/**
 * What the guards claim on a host. All of it is ours alone, so it can be put in place and taken away
 * whatever else is configured.
 */

/** Mark (SO_MARK) of packets that an agent sends: "DVIP" in ASCII. */
export const AGENT_MARK = 0x44564950;

/** Where runs of a routing host's packets leave from until its rules put 4500 in its place, which charon has for itself (ADR 29). */
export const RUNS_PORT = 4753;

/** Routing table in which a DVIPA's own packets are looked up. */
export const DVIPA_ROUTING_TABLE = 4754;

/** Preferences of our policy rules: behind `local` (0), before `main` and strongSwan's table (220). */
export const RULE_PREFERENCE = {
  /** The agent's own packets use `main` ... */
  MARKED: 150,
  /** ... and nothing else if that knows no way: in the DVIPA's table they would come back to the agent. */
  MARKED_END: 151,
  FROM_DVIPA: 152,
} as const;

export const TARGET_GUARD_TABLE = 'dvipa_guard';
export const ROUTER_GUARD_TABLE = 'dvipa_route';
