import { runCommand } from './run-command.ts';

/** A chain of the kernel, its rules as libnftables-json(5) writes expressions. */
export interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string | undefined;
  readonly policy?: string | undefined;
  readonly rules: readonly (readonly unknown[])[];
}

export interface NftRuleset {
  readonly chains: readonly NftChain[];
  /** Elements of sets, as text, sorted; by `FAMILY TABLE SET`. */
  readonly sets: ReadonlyMap<string, readonly string[]>;
}

interface Shown {
  readonly chain?: { family: string; table: string; name: string; hook?: string; policy?: string };
  readonly rule?: { family: string; table: string; chain: string; expr?: unknown[] };
  readonly set?: { family: string; table: string; name: string; elem?: unknown[] };
}

/** All rules of this network namespace. Rejects if nft cannot be run. */
export async function readRuleset(): Promise<NftRuleset> {
  const { nftables } = JSON.parse(await runCommand('nft', ['-j', 'list', 'ruleset'])) as {
    nftables: Shown[];
  };
  const chains = new Map<string, NftChain & { rules: (readonly unknown[])[] }>();
  const sets = new Map<string, readonly string[]>();
  for (const { chain, rule, set } of nftables) {
    if (chain !== undefined) {
      const { family, table, name, hook, policy } = chain;
      chains.set(`${family} ${table} ${name}`, { family, table, name, hook, policy, rules: [] });
    }
    if (rule !== undefined)
      chains.get(`${rule.family} ${rule.table} ${rule.chain}`)?.rules.push(rule.expr ?? []);
    if (set !== undefined) {
      const elements = (set.elem ?? []).map((element) => String(element)).toSorted();
      sets.set(`${set.family} ${set.table} ${set.name}`, elements);
    }
  }
  return { chains: [...chains.values()], sets };
}
