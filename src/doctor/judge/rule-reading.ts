/** The parts of `nft -j list ruleset` that are read here; all else makes a rule uncertain, never a fault. */
export interface Ruleset {
  readonly chains: readonly RuleChain[];
}

export interface RuleChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Base chains only. */
  readonly hook?: string | undefined;
  readonly policy?: string | undefined;
  readonly rules: readonly (readonly unknown[])[];
}

/** The first packet of something that the cluster needs. */
export interface Traffic {
  readonly name: string;
  readonly hooks: readonly string[];
  readonly protocol: 'tcp' | 'udp' | 'esp';
  readonly interface: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

type Match = 'yes' | 'no' | 'maybe';
type Fate = { readonly is: 'accept' | 'maybe' | 'on' } | { readonly is: 'drop'; readonly by: string };

const ON: Fate = { is: 'on' };
const PROTOCOL_NUMBERS: Record<Traffic['protocol'], number> = { tcp: 6, udp: 17, esp: 50 };
/** nft allows 16 jumps. */
const MAX_JUMPS = 16;

/**
 * What certainly drops the traffic, as an operator would name it. A rule that depends on what we do not know (addresses, sets, rates)
 * accuses nobody: such an accept is believed, such a drop is not.
 */
export function whatBlocks(ruleset: Ruleset, traffic: Traffic): string | undefined {
  for (const chain of ruleset.chains) {
    if (chain.hook === undefined || !traffic.hooks.includes(chain.hook)) continue;
    const fate = throughChain(ruleset, chain, traffic, 0);
    if (fate.is === 'drop') return fate.by;
    if (fate.is === 'on' && chain.policy === 'drop') return `the policy of ${nameOf(chain)}`;
  }
  return undefined;
}

function throughChain(ruleset: Ruleset, chain: RuleChain, traffic: Traffic, jumps: number): Fate {
  for (const [at, rule] of chain.rules.entries()) {
    const match = matchOf(rule, traffic);
    if (match === 'no') continue;
    for (const statement of rule) {
      if (typeof statement !== 'object' || statement === null) continue;
      if ('return' in statement && match === 'yes') return ON;
      const fate = fateOf(statement, ruleset, chain, traffic, { at, jumps });
      if (fate.is === 'accept') return match === 'yes' ? fate : { is: 'maybe' };
      if (fate.is === 'maybe') return fate;
      if (fate.is === 'drop' && match === 'yes') return fate;
    }
  }
  return ON;
}

function fateOf(
  statement: object,
  ruleset: Ruleset,
  chain: RuleChain,
  traffic: Traffic,
  { at, jumps }: { at: number; jumps: number },
): Fate {
  if ('accept' in statement) return { is: 'accept' };
  if ('drop' in statement || 'reject' in statement)
    return { is: 'drop', by: `rule ${at + 1} of ${nameOf(chain)}` };
  const name = targetOf(statement);
  if (name === undefined || jumps >= MAX_JUMPS) return ON;
  const next = ruleset.chains.find(
    (each) => each.family === chain.family && each.table === chain.table && each.name === name,
  );
  return next === undefined ? ON : throughChain(ruleset, next, traffic, jumps + 1);
}

function targetOf(statement: object): string | undefined {
  for (const kind of ['jump', 'goto'] as const) {
    const value = (statement as Record<string, unknown>)[kind];
    if (isRecord(value) && typeof value['target'] === 'string') return value['target'];
  }
  return undefined;
}

function nameOf({ family, table, name }: RuleChain): string {
  return `chain ${name} of table ${family} ${table}`;
}

function matchOf(rule: readonly unknown[], traffic: Traffic): Match {
  let match: Match = 'yes';
  for (const statement of rule) {
    if (!isRecord(statement) || !('match' in statement)) {
      // `limit`, `xt` and the like decide as well.
      if (isRecord(statement) && !isHarmless(statement)) match = 'maybe';
      continue;
    }
    const one = matchOne(statement['match'], traffic);
    if (one === 'no') return 'no';
    if (one === 'maybe') match = 'maybe';
  }
  return match;
}

const HARMLESS = [
  'counter',
  'log',
  'accept',
  'drop',
  'reject',
  'jump',
  'goto',
  'return',
  'mangle',
  'notrack',
];

function isHarmless(statement: Record<string, unknown>): boolean {
  return Object.keys(statement).every((key) => HARMLESS.includes(key));
}

function matchOne(value: unknown, traffic: Traffic): Match {
  if (!isRecord(value)) return 'maybe';
  const { op, left, right } = value;
  const is = compare(left, right, traffic);
  if (op === '!=') return is === 'maybe' ? is : is === 'yes' ? 'no' : 'yes';
  return op === '==' || op === 'in' ? is : 'maybe';
}

function compare(left: unknown, right: unknown, traffic: Traffic): Match {
  if (!isRecord(left)) return 'maybe';
  const { meta, payload, ct } = left;
  if (isRecord(meta)) return compareMeta(meta['key'], right, traffic);
  // A new connection is what has to pass.
  if (isRecord(ct) && ct['key'] === 'state') return includes(right, ['new']);
  if (!isRecord(payload)) return 'maybe';
  const { protocol, field } = payload;
  if (field === 'protocol' || field === 'nexthdr') return includes(right, protocolsOf(traffic));
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'th') return 'maybe';
  if (protocol !== 'th' && protocol !== traffic.protocol) return 'no';
  if (protocol === 'th' && traffic.protocol === 'esp') return 'no';
  const port =
    field === 'dport' ? traffic.destinationPort : field === 'sport' ? traffic.sourcePort : undefined;
  return port === undefined ? 'maybe' : includes(right, [port]);
}

function compareMeta(key: unknown, right: unknown, traffic: Traffic): Match {
  if (key === 'l4proto') return includes(right, protocolsOf(traffic));
  if (key === 'iif' || key === 'iifname' || key === 'oif' || key === 'oifname')
    return includes(right, [traffic.interface]);
  return 'maybe';
}

function protocolsOf({ protocol }: Traffic): readonly (string | number)[] {
  return [protocol, PROTOCOL_NUMBERS[protocol]];
}

/** A value, a list, a set with ranges, or the name of a set, which we do not follow. */
function includes(right: unknown, wanted: readonly (string | number)[]): Match {
  if (typeof right === 'string' && right.startsWith('@')) return 'maybe';
  if (typeof right === 'string' && right.endsWith('*'))
    return wanted.some((text) => String(text).startsWith(right.slice(0, -1))) ? 'yes' : 'no';
  if (typeof right === 'string' || typeof right === 'number') return wanted.includes(right) ? 'yes' : 'no';
  if (Array.isArray(right)) return anyOf(right.map((each) => includes(each, wanted)));
  if (!isRecord(right)) return 'maybe';
  const { set, range } = right;
  if (Array.isArray(set)) return anyOf(set.map((each) => includes(each, wanted)));
  if (!Array.isArray(range)) return 'maybe';
  const [from, to] = range as [unknown, unknown];
  if (typeof from !== 'number' || typeof to !== 'number') return 'maybe';
  return wanted.some((value) => typeof value === 'number' && value >= from && value <= to) ? 'yes' : 'no';
}

function anyOf(matches: readonly Match[]): Match {
  if (matches.includes('yes')) return 'yes';
  return matches.includes('maybe') ? 'maybe' : 'no';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
