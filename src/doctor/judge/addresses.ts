import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

/** Who else answers for an address; `unknown`: nobody could be asked. */
export interface AddressAnswers {
  readonly address: string;
  readonly interface: string;
  readonly owners: readonly string[] | { readonly unknown: string };
}

export interface AddressFacts {
  readonly role: 'route' | 'target';
  readonly cluster: { readonly address: string; readonly interface: string };
  /** Addresses of this host, by interface. */
  readonly present: readonly { readonly interface: string; readonly addresses: readonly string[] }[];
  /** Routing host. */
  readonly endpoints: readonly string[];
  readonly dvipas: readonly string[];
  /** Target. */
  readonly tun: string | undefined;
  readonly answers: readonly AddressAnswers[];
  /** Target: what its links say of addresses of other links (`arp_ignore`, `arp_announce`: the larger of `all` and the link's). */
  readonly arp: readonly { readonly interface: string; readonly ignore: number; readonly announce: number }[];
  readonly isAgentRunning: boolean;
}

export function judgeAddresses(facts: AddressFacts): Finding[] {
  return [
    judgeCluster(facts),
    ...(facts.role === 'route' ? facts.endpoints.map((address) => judgeEndpoint(address, facts)) : []),
    ...(facts.role === 'target' ? facts.dvipas.map((address) => judgeElsewhere(address, facts)) : []),
    ...facts.answers.map((answers) => judgeAnswers(answers, facts)),
    ...facts.arp.map((link) => judgeArp(link, facts)),
  ];
}

function interfacesOf(address: string, { present }: AddressFacts): string[] {
  return present.filter(({ addresses }) => addresses.includes(address)).map((each) => each.interface);
}

function judgeCluster(facts: AddressFacts): Finding {
  const { address, interface: name } = facts.cluster;
  const on = interfacesOf(address, facts);
  if (on.includes(name)) return ok('cluster-address', `on ${name}`, address);
  const found = on.length === 0 ? 'this host does not have it' : `on ${on.join(', ')}, not on ${name}`;
  return fail('cluster-address', found, `ip address add ${address}/LENGTH dev ${name}`, address);
}

function judgeEndpoint(address: string, facts: AddressFacts): Finding {
  const on = interfacesOf(address, facts);
  if (on.length > 0) return ok('endpoint-address', `on ${on.join(', ')}`, address);
  const remedy = `ip address add ${address}/${address.includes(':') ? 128 : 32} dev OUTSIDE`;
  return fail('endpoint-address', 'this host does not have it: charon cannot answer there', remedy, address);
}

function judgeElsewhere(address: string, facts: AddressFacts): Finding {
  const on = interfacesOf(address, facts).filter((name) => name !== facts.tun);
  if (on.length === 0) return ok('dvipa-elsewhere', 'on no link', address);
  const remedy = `ip address delete ${address} dev ${on[0]}`;
  return fail('dvipa-elsewhere', `on ${on.join(', ')}, where its packets pass in clear`, remedy, address);
}

function judgeAnswers({ address, interface: name, owners }: AddressAnswers, { role }: AddressFacts): Finding {
  if (!Array.isArray(owners)) {
    return skipped('duplicate-address', (owners as { unknown: string }).unknown, `${address} on ${name}`);
  }
  const about = `${address} on ${name}`;
  if (owners.length === 0) return ok('duplicate-address', 'nobody else answers', about);
  if (role === 'route') {
    const found = `${owners.join(', ')} answers for it too: peers reach the one or the other`;
    return fail('duplicate-address', found, `find that host and take the address away there`, about);
  }
  if (owners.length === 1)
    return ok('duplicate-address', `${owners[0]} answers, as the routing host may`, about);
  const found = `${owners.join(' and ')} answer for it, and one routing host has it at the most`;
  return fail('duplicate-address', found, 'on each target: dvipa doctor, and see arp', about);
}

function judgeArp(
  { interface: name, ignore, announce }: AddressFacts['arp'][number],
  { isAgentRunning }: AddressFacts,
): Finding {
  // 3 answers for addresses of wide scope, as a DVIPA is.
  const answers = ![1, 2, 8].includes(ignore);
  if (!answers && announce === 2) return ok('arp', `arp_ignore ${ignore}, arp_announce 2`, name);
  const found = `arp_ignore ${ignore}, arp_announce ${announce}`;
  const remedy = `sysctl -w net/ipv4/conf/${name}/arp_ignore=1 net/ipv4/conf/${name}/arp_announce=2`;
  if (!isAgentRunning) return warn('arp', `${found}; the agent sets them when it starts`, remedy, name);
  const harm = answers ? 'this host answers for the DVIPA' : 'this host may tell others of the DVIPA';
  return fail('arp', `${found}: ${harm}`, remedy, name);
}
