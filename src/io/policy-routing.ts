import { AGENT_MARK, DVIPA_ROUTING_TABLE, RULE_PREFERENCE } from './guard-constants.ts';
import { CommandError, runCommand } from './run-command.ts';

/** A rule as `ip rule` takes it, without the verb. */
type Rule = readonly string[];

const OUR_PREFERENCES = Object.values(RULE_PREFERENCE).map(String);

/**
 * Makes the policy rules and the table of the DVIPAs. Only differences are applied, so repeating it leaves
 * no gap. The table ends in a blackhole: with the TUN gone, a DVIPA's packets have no way, not another one.
 */
export async function installPolicyRouting(dvipas: readonly string[], mark = AGENT_MARK): Promise<void> {
  const table = String(DVIPA_ROUTING_TABLE);
  await runCommand('ip', [
    'route',
    'replace',
    'blackhole',
    'default',
    'metric',
    '4000000000',
    'table',
    table,
  ]);
  const fwmark = `0x${mark.toString(16)}`;
  const wanted: Rule[] = [
    ['pref', String(RULE_PREFERENCE.MARKED), 'fwmark', fwmark, 'lookup', 'main'],
    ['pref', String(RULE_PREFERENCE.MARKED_END), 'fwmark', fwmark, 'unreachable'],
    ...dvipas.map((dvipa) => ['pref', String(RULE_PREFERENCE.FROM_DVIPA), 'from', dvipa, 'lookup', table]),
  ];
  const present = await ourRules();
  for (const rule of wanted) await ensureRule(rule);
  // Stale ones last: those of DVIPAs that are no longer configured.
  const keep = new Set(wanted.map((rule) => rule.join(' ')));
  for (const rule of present) if (!keep.has(rule.join(' '))) await removeRule(rule);
}

/** The DVIPAs' packets go to the agent. The TUN must be up. */
export async function routeToTun(tun: string): Promise<void> {
  await runCommand('ip', ['route', 'replace', 'default', 'dev', tun, 'table', String(DVIPA_ROUTING_TABLE)]);
}

/** Twice is harmless. */
export async function removePolicyRouting(): Promise<void> {
  for (const rule of await ourRules()) await removeRule(rule);
  await runCommand('ip', ['route', 'flush', 'table', String(DVIPA_ROUTING_TABLE)]).catch((error: unknown) => {
    // "FIB table does not exist": it had no route in it.
    if (!(error instanceof CommandError && /does not exist/.test(error.stderr))) throw error;
  });
}

/** Rules at our preferences, in the words of `installPolicyRouting`. Shown with numbers: names are per host (rt_tables). */
async function ourRules(): Promise<Rule[]> {
  const text = await runCommand('ip', ['-N', '-4', 'rule', 'show']);
  const rules: Rule[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d+):\s+(.*?)\s*$/.exec(line);
    if (match === null || !OUR_PREFERENCES.includes(match[1] as string)) continue;
    const words = (match[2] as string)
      .replace(/^from all /, '')
      .replace(/ lookup 254$/, ' lookup main')
      .replace(/ 7$/, ' unreachable');
    rules.push(['pref', match[1] as string, ...words.split(/\s+/)]);
  }
  return rules;
}

async function ensureRule(rule: Rule): Promise<void> {
  await runCommand('ip', ['-4', 'rule', 'add', ...rule]).catch((error: unknown) => {
    if (!(error instanceof CommandError && /File exists/.test(error.stderr))) throw error;
  });
}

async function removeRule(rule: Rule): Promise<void> {
  await runCommand('ip', ['-4', 'rule', 'del', ...rule]).catch((error: unknown) => {
    if (!(error instanceof CommandError && /No such file|does not exist/.test(error.stderr))) throw error;
  });
}
