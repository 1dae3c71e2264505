import type { Config } from '../../config/index.ts';
import { AGENT_MARK, ROUTER_GUARD_TABLE, TARGET_GUARD_TABLE } from '../../io/guard-constants.ts';
import { presentShape, shapeOfBody, type TableShape } from '../../io/guard-shape.ts';
import { readRuleset } from '../../io/nft-ruleset.ts';
import { hasPolicyRouting } from '../../io/policy-routing.ts';
import { routerGuardRules } from '../../io/router-guard.ts';
import { targetGuardRules } from '../../io/target-guard.ts';
import { linkAddresses } from '../../io/tun-device.ts';
import { type Finding, skipped } from '../finding.ts';
import { judgeFirewall } from '../judge/firewall.ts';
import { judgeGuard } from '../judge/guard.ts';
import { reasonOf } from './outcome.ts';
import { dvipasOf, endpointsOf, isAgentRunning, type Situation, startLine } from './situation.ts';

/** Our own rules, and everybody else's. */
export async function lookAtRules(situation: Situation): Promise<Finding[]> {
  const { config } = situation;
  const table = config.role === 'route' ? ROUTER_GUARD_TABLE : TARGET_GUARD_TABLE;
  const where = {
    role: config.role,
    outside: config.outside.interface,
    cluster: config.cluster.interface,
    couplingPort: portsOf(config).couplingPort,
    linkPort: portsOf(config).linkPort,
  };
  let ruleset;
  try {
    ruleset = await readRuleset();
  } catch (error) {
    const why = `the rules cannot be read: ${reasonOf(error)}`;
    return [skipped('guard', why), ...judgeFirewall({ ...where, ruleset: { unknown: why } })];
  }
  const others = ruleset.chains.filter((chain) => chain.family !== 'inet' || chain.table !== table);
  return [
    ...judgeGuard({
      table,
      expected: expectedShape(config),
      present: presentShape(ruleset, table),
      hasPolicyRules: config.role === 'target' ? await hasPolicyRouting(config.dvipas) : undefined,
      isAgentRunning: isAgentRunning(situation),
      addressesUp: config.role === 'target' ? await addressesOn(config.tun.name, config.dvipas) : [],
      restart: startLine(situation),
    }),
    ...judgeFirewall({ ...where, ruleset: { chains: others } }),
  ];
}

export function portsOf(config: Config): { readonly couplingPort: number; readonly linkPort: number } {
  return config.role === 'route' ? config.cluster : config.router;
}

/** Which DVIPAs answer in clear a target hears from its routing host, so that set may be anything there. */
function expectedShape(config: Config): TableShape {
  const { address } = config.cluster;
  const trustedLink = { interface: config.cluster.interface, address, port: portsOf(config).linkPort };
  if (config.role === 'route') {
    const clear = config.dvipas
      .filter(({ clearText, returnVia }) => clearText === 'distribute' && returnVia === 'router')
      .map((dvipa) => dvipa.address);
    const rules = routerGuardRules(dvipasOf(config), endpointsOf(config), AGENT_MARK, { clear, trustedLink });
    return shapeOfBody(rules);
  }
  const shape = shapeOfBody(targetGuardRules(config.dvipas, config.tun.name, AGENT_MARK, { trustedLink }));
  const { clear_from4: _four, clear_from6: _six, ...sets } = shape.sets;
  return { ...shape, sets };
}

async function addressesOn(name: string, dvipas: readonly string[]): Promise<string[]> {
  const link = (await linkAddresses()).find((each) => each.name === name);
  return dvipas.filter((dvipa) => link?.addresses.includes(dvipa));
}
