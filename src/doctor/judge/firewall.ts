import { fail, type Finding, ok, skipped } from '../finding.ts';
import { type Ruleset, type Traffic, whatBlocks } from './rule-reading.ts';

export interface FirewallFacts {
  readonly role: 'route' | 'target';
  readonly outside: string;
  readonly cluster: string;
  readonly couplingPort: number;
  readonly linkPort: number;
  /** All rules of this host but the guard's; or why they could not be read. */
  readonly ruleset: Ruleset | { readonly unknown: string };
}

/**
 * What the rest of the host's rules does to the cluster's traffic. A routing host's ESP is captured before any of these rules, but for
 * those of the ingress hook.
 */
export function judgeFirewall(facts: FirewallFacts): Finding[] {
  const { ruleset } = facts;
  if ('unknown' in ruleset) return [skipped('firewall', ruleset.unknown)];
  const blocked = trafficOf(facts).flatMap((traffic) => {
    const by = whatBlocks(ruleset, traffic);
    return by === undefined ? [] : [fail('firewall', `dropped by ${by}`, remedyOf(traffic), traffic.name)];
  });
  if (blocked.length > 0) return blocked;
  return [ok('firewall', 'no other rule drops IKE, ESP or what the agents say to each other')];
}

function trafficOf({ role, outside, cluster, couplingPort, linkPort }: FirewallFacts): Traffic[] {
  const coupling = { protocol: 'tcp', interface: cluster } as const;
  const link = { protocol: 'udp', interface: cluster, destinationPort: linkPort } as const;
  const esp = { protocol: 'esp', interface: outside } as const;
  const ike = (port: number) => ({ protocol: 'udp', interface: outside, port }) as const;
  if (role === 'target') {
    return [
      { name: 'link in', hooks: IN, ...link },
      { name: 'coupling out', hooks: OUT, ...coupling, destinationPort: couplingPort },
      { name: 'ESP out', hooks: OUT, ...esp },
      { name: 'UDP 4500 out', hooks: OUT, protocol: 'udp', interface: outside, sourcePort: 4500 },
    ];
  }
  return [
    ...[500, 4500].flatMap((port): Traffic[] => [
      { name: `UDP ${port} in`, hooks: IN, ...ike(port), destinationPort: port },
      { name: `UDP ${port} out`, hooks: OUT, ...ike(port), sourcePort: port },
    ]),
    { name: 'ESP in', hooks: ['ingress'], ...esp },
    { name: 'coupling in', hooks: IN, ...coupling, destinationPort: couplingPort },
    { name: 'link out', hooks: OUT, ...link },
  ];
}

const IN = ['ingress', 'prerouting', 'input'];
const OUT = ['output', 'postrouting', 'egress'];

function remedyOf({ name, protocol, interface: device, sourcePort, destinationPort }: Traffic): string {
  const side = name.endsWith(' in') ? 'iifname' : 'oifname';
  const port =
    destinationPort !== undefined
      ? `${protocol} dport ${destinationPort}`
      : sourcePort !== undefined
        ? `${protocol} sport ${sourcePort}`
        : `meta l4proto ${protocol}`;
  return `accept it before that rule: ${side} "${device}" ${port} accept`;
}
