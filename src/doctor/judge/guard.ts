import { isDeepStrictEqual } from 'node:util';
import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

/** What can be compared of a table of rules, whatever spelling it was written in. */
export interface GuardShape {
  readonly chains: Readonly<Record<string, { readonly hook?: string | undefined; readonly rules: number }>>;
  /** Elements, sorted. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

export interface GuardFacts {
  readonly table: string;
  readonly expected: GuardShape;
  /** Undefined: there is no such table. */
  readonly present: GuardShape | undefined;
  /** Target: whether the policy rules are there. */
  readonly hasPolicyRules: boolean | undefined;
  readonly isAgentRunning: boolean;
  /** Target: DVIPAs that its TUN has, so that applications use them. */
  readonly addressesUp: readonly string[];
  /** How to get everything back. */
  readonly restart: string;
}

export function judgeGuard(facts: GuardFacts): Finding[] {
  const { hasPolicyRules } = facts;
  return [judgeTable(facts), ...(hasPolicyRules === undefined ? [] : [judgeRouting(facts, hasPolicyRules)])];
}

function judgeTable(facts: GuardFacts): Finding {
  const { table, expected, present, restart } = facts;
  if (present === undefined) return absent('guard', `table inet ${table} is not there`, facts);
  const differences = differencesOf(expected, present);
  if (differences.length === 0) {
    const rules = Object.values(present.chains).reduce((sum, chain) => sum + chain.rules, 0);
    return ok('guard', `table inet ${table}: ${rules} rules in ${Object.keys(present.chains).length} chains`);
  }
  return fail('guard', `table inet ${table} was changed: ${differences.join('; ')}`, restart);
}

function judgeRouting(facts: GuardFacts, isThere: boolean): Finding {
  if (isThere) return ok('guard-routing', 'all policy rules are there');
  return absent('guard-routing', 'policy rules are missing (ip rule)', facts);
}

/** Without an agent and without addresses there is nothing to guard. */
function absent(
  id: 'guard' | 'guard-routing',
  found: string,
  { isAgentRunning, addressesUp, restart }: GuardFacts,
): Finding {
  if (isAgentRunning) {
    const remedy = `wait 5 s, the agent puts it back; then see who takes it away (a firewall's reload?)`;
    return fail(id, `${found}, and the agent runs`, remedy);
  }
  if (addressesUp.length > 0) {
    return fail(id, `${found}, and ${addressesUp.join(', ')} is configured: packets pass in clear`, restart);
  }
  return id === 'guard' ? warn(id, `${found}: nothing is guarded yet`, restart) : skipped(id, found);
}

function differencesOf(expected: GuardShape, present: GuardShape): string[] {
  const chains = Object.entries(expected.chains).flatMap(([name, { hook, rules }]) => {
    const chain = present.chains[name];
    if (chain === undefined) return [`chain ${name} is missing`];
    if (chain.hook !== hook) return [`chain ${name} hangs on ${chain.hook ?? 'nothing'}, not on ${hook}`];
    return chain.rules === rules ? [] : [`chain ${name} has ${chain.rules} rules, not ${rules}`];
  });
  const sets = Object.entries(expected.sets).flatMap(([name, elements]) => {
    const set = present.sets[name];
    if (set === undefined) return [`set ${name} is missing`];
    return isDeepStrictEqual(set, elements)
      ? []
      : [`set ${name} has ${set.join(', ') || 'nothing'}, not ${elements.join(', ') || 'nothing'}`];
  });
  return [...chains, ...sets];
}
