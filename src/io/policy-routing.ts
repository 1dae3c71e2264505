import { isIPv6 } from 'node:net';
import { AGENT_MARK, DVIPA_ROUTING_TABLE, RULE_PREFERENCE } from './guard-constants.ts';
import { CommandError, runCommand } from './run-command.ts';
import { kernelHasIpv6 } from './sysctl.ts';

/** A rule as `ip rule` takes it, without the verb: "pref 152 from 203.0.113.10 lookup 4754". */
type Rule = string;
type Family = 4 | 6;

const OUR_PREFERENCES = Object.values(RULE_PREFERENCE).map(String);

/**
 * Makes the policy rules and the table of the DVIPAs, for IPv6 too wherever the kernel has it: what is marked or from a
 * DVIPA has no other way in either family. Only differences are applied, so repeating it leaves no gap. The table ends
 * in a blackhole: with the TUN gone, a DVIPA's packets have no way, not another one.
 */
export async function installPolicyRouting(dvipas: readonly string[], mark = AGENT_MARK): Promise<void> {
  for (const family of families()) {
    await ip(family, `route replace blackhole default metric 4000000000 table ${DVIPA_ROUTING_TABLE}`);
    const wanted = wantedRules(family, dvipas, mark);
    const present = await ourRules(family);
    for (const rule of wanted) await ensureRule(family, rule);
    // Stale ones last: those of DVIPAs that are no longer configured.
    const keep = new Set(wanted);
    for (const rule of present) if (!keep.has(rule)) await removeRule(family, rule);
  }
}

/** Whether the rules are all there. */
export async function hasPolicyRouting(dvipas: readonly string[], mark = AGENT_MARK): Promise<boolean> {
  for (const family of families()) {
    const present = new Set(await ourRules(family));
    if (!wantedRules(family, dvipas, mark).every((rule) => present.has(rule))) return false;
  }
  return true;
}

function families(): readonly Family[] {
  return kernelHasIpv6() ? [4, 6] : [4];
}

function wantedRules(family: Family, dvipas: readonly string[], mark: number): Rule[] {
  const fwmark = `0x${mark.toString(16)}`;
  const { MARKED, MARKED_END, FROM_DVIPA } = RULE_PREFERENCE;
  const ofFamily = dvipas.filter((dvipa) => isIPv6(dvipa) === (family === 6));
  return [
    `pref ${MARKED} fwmark ${fwmark} lookup main`,
    `pref ${MARKED_END} fwmark ${fwmark} unreachable`,
    ...ofFamily.map((dvipa) => `pref ${FROM_DVIPA} from ${dvipa} lookup ${DVIPA_ROUTING_TABLE}`),
  ];
}

/** The DVIPAs' packets go to the agent. The TUN must be up, and have IPv6 if that is asked for. */
export async function routeToTun(tun: string, hasIpv6: boolean): Promise<void> {
  for (const family of hasIpv6 ? ([4, 6] as const) : ([4] as const)) {
    await ip(family, `route replace default dev ${tun} table ${DVIPA_ROUTING_TABLE}`);
  }
}

/** Twice is harmless. */
export async function removePolicyRouting(): Promise<void> {
  for (const family of families()) {
    for (const rule of await ourRules(family)) await removeRule(family, rule);
    await ip(family, `route flush table ${DVIPA_ROUTING_TABLE}`).catch((error: unknown) => {
      // "FIB table does not exist": it had no route in it.
      if (!(error instanceof CommandError && /does not exist/.test(error.stderr))) throw error;
    });
  }
}

/** Rules at our preferences, in the words of `installPolicyRouting`. Shown with numbers: names are per host (rt_tables). */
async function ourRules(family: Family): Promise<Rule[]> {
  const text = await ip(family, '-N rule show');
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

async function ensureRule(family: Family, rule: Rule): Promise<void> {
  await ip(family, `rule add ${rule}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && /File exists/.test(error.stderr))) throw error;
  });
}

async function removeRule(family: Family, rule: Rule): Promise<void> {
  await ip(family, `rule delete ${rule}`).catch((error: unknown) => {
    if (!(error instanceof CommandError && /No such file|does not exist/.test(error.stderr))) throw error;
  });
}

/** No word of ours has a blank in it. */
function ip(family: Family, words: string): Promise<string> {
  return runCommand('ip', [`-${family}`, ...words.split(' ')]);
}
