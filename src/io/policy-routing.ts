import { AGENT_MARK, DVIPA_ROUTING_TABLE, RULE_PREFERENCE } from './guard-constants.ts';
import { CommandError, runCommand } from './run-command.ts';

/** A rule as `ip rule` takes it, without the verb: "pref 152 from 203.0.113.10 lookup 4754". */
type Rule = string;

const OUR_PREFERENCES = Object.values(RULE_PREFERENCE).map(String);

/**
 * Makes the policy rules and the table of the DVIPAs. Only differences are applied, so repeating it leaves
 * no gap. The table ends in a blackhole: with the TUN gone, a DVIPA's packets have no way, not another one.
 */
export async function installPolicyRouting(dvipas: readonly string[], mark = AGENT_MARK): Promise<void> {
  const table = String(DVIPA_ROUTING_TABLE);
  await ip(`route replace blackhole default metric 4000000000 table ${table}`);
  const wanted = wantedRules(dvipas, mark);
  const present = await ourRules();
  for (const rule of wanted) await ensureRule(rule);
  // Stale ones last: those of DVIPAs that are no longer configured.
  const keep = new Set(wanted);
  for (const rule of present) if (!keep.has(rule)) await removeRule(rule);
}

/** Whether the rules are all there. */
export async function hasPolicyRouting(dvipas: readonly string[], mark = AGENT_MARK): Promise<boolean> {
  const present = new Set(await ourRules());
  return wantedRules(dvipas, mark).every((rule) => present.has(rule));
}

function wantedRules(dvipas: readonly string[], mark: number): Rule[] {
  const fwmark = `0x${mark.toString(16)}`;
  const { MARKED, MARKED_END, FROM_DVIPA } = RULE_PREFERENCE;
  return [
    `pref ${MARKED} fwmark ${fwmark} lookup main`,
    `pref ${MARKED_END} fwmark ${fwmark} unreachable`,
    ...dvipas.map((dvipa) => `pref ${FROM_DVIPA} from ${dvipa} lookup ${DVIPA_ROUTING_TABLE}`),
  ];
}

/** The DVIPAs' packets go to the agent. The TUN must be up. */
export async function routeToTun(tun: string): Promise<void> {
  await ip(`route replace default dev ${tun} table ${DVIPA_ROUTING_TABLE}`);
}

/** Twice is harmless. */
export async function removePolicyRouting(): Promise<void> {
  for (const rule of await ourRules()) await removeRule(rule);
  await ip(`route flush table ${DVIPA_ROUTING_TABLE}`).catch((error: unknown) => {
    // "FIB table does not exist": it had no route in it.
    if (!(error instanceof CommandError && /does not exist/.test(error.stderr))) throw error;
  });
}

/** Rules at our preferences, in the words of `installPolicyRouting`. Shown with numbers: names are per host (rt_tables). */
async function ourRules(): Promise<Rule[]> {
  const text = await ip('-N -4 rule show');
  const rules: Rule[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d+):\s+(.*?)\s*$/.exec(line);
    if (match === null || !OUR_PREFERENCES.includes(match[1] as string)) continue;
    const words = (match[2] as string)
      .replace(/^from all /, '')
      .replace(/ lookup 254$/, ' lookup main')
      .replace(/ 7$/, ' unreachable');
    rules.push(`pref ${match[1]} ${words}`);
  }
  return rules;
}

async function ensureRule(rule: Rule): Promise<void> {
  await ip(`-4 rule add ${rule}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && /File exists/.test(error.stderr))) throw error;
  });
}

async function removeRule(rule: Rule): Promise<void> {
  await ip(`-4 rule delete ${rule}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && /No such file|does not exist/.test(error.stderr))) throw error;
  });
}

/** No word of ours has a blank in it. */
function ip(words: string): Promise<string> {
  return runCommand('ip', words.split(' '));
}
