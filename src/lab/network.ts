import { CLUSTER_PREFIX_BITS, type LabHostPlan, OUTSIDE_PREFIX_BITS } from './addresses.ts';
import { must, run } from './run.ts';
import type { Scenario } from './scenario.ts';

/**
 * The lab's two networks: a bridge in a namespace of its own each, and a veth pair from it to every host. Nothing is
 * made in the machine's own namespace.
 */

const NETWORKS = ['outside', 'cluster'] as const;
type NetworkName = (typeof NETWORKS)[number];

/** Where to capture everything that crosses a network. */
export const BRIDGE_INTERFACE = 'br0';

export function networkNamespace(prefix: string, network: NetworkName): string {
  return `${prefix}-${network}`;
}

export function hostNamespace(prefix: string, host: string): string {
  return `${prefix}-${host}`;
}

/** Every namespace that `buildNetworks` makes. */
export function namespacesOf(prefix: string, hosts: readonly LabHostPlan[]): string[] {
  return [
    ...NETWORKS.map((network) => networkNamespace(prefix, network)),
    ...hosts.map(({ name }) => hostNamespace(prefix, name)),
  ];
}

export async function buildNetworks(
  prefix: string,
  scenario: Scenario,
  hosts: readonly LabHostPlan[],
): Promise<void> {
  for (const namespace of namespacesOf(prefix, hosts)) {
    await must(['ip', 'netns', 'add', namespace]);
    // Neighbour discovery would be the only IPv6 on the wires, and captures are judged packet by packet.
    const sysctls = ['net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1'];
    await must(['ip', 'netns', 'exec', namespace, 'sysctl', '-qw', ...sysctls]);
    await ipBatch(namespace, ['link set lo up']);
  }
  for (const network of NETWORKS) {
    await ipBatch(networkNamespace(prefix, network), [
      `link add ${BRIDGE_INTERFACE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
      `link set ${BRIDGE_INTERFACE} up`,
      ...hosts
        .filter((host) => network === 'outside' || host.clusterAddress !== undefined)
        .flatMap((host) => [
          `link add ${host.name} type veth peer name ${network}0 netns ${hostNamespace(prefix, host.name)}`,
          `link set ${host.name} master ${BRIDGE_INTERFACE} up`,
        ]),
    ]);
  }
  for (const host of hosts) {
    await ipBatch(hostNamespace(prefix, host.name), hostCommands(scenario, host));
  }
}

function hostCommands(scenario: Scenario, host: LabHostPlan): string[] {
  const commands = [
    `addr add ${host.outsideAddress}/${OUTSIDE_PREFIX_BITS} dev outside0`,
    'link set outside0 up',
  ];
  if (host.clusterAddress !== undefined) {
    commands.push(
      `addr add ${host.clusterAddress}/${CLUSTER_PREFIX_BITS} dev cluster0`,
      'link set cluster0 up',
    );
  }
  if (host.innerAddress !== undefined) commands.push(`addr add ${host.innerAddress}/32 dev lo`);
  if (host.kind === 'router') commands.push(`addr add ${scenario.endpoint}/32 dev outside0`);
  if (host.kind !== 'router' && scenario.onLink !== undefined) {
    // Targets hold the DVIPA itself later; their guard sees to it that they never answer for it.
    if (host.kind === 'client') commands.push(`route add ${scenario.onLink} dev outside0`);
  }
  return commands;
}

async function ipBatch(namespace: string, lines: readonly string[]): Promise<void> {
  await must(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Removes namespaces, and with them the interfaces in them. Those that are gone already are no fault. */
export async function removeNamespaces(namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) await run(['ip', 'netns', 'del', namespace]);
}
