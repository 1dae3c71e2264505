import {
  CLUSTER_PREFIX_BITS,
  type LabHostPlan,
  OUTSIDE_PREFIX6_BITS,
  OUTSIDE_PREFIX_BITS,
} from './addresses.ts';
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

/** Guests are no namespaces: they stand on the outside network's bridge themselves. */
const isNamespace = ({ isGuest }: LabHostPlan) => !isGuest;

/** The process that is a guest runs where the outside network's bridge is; this is its end of a wire to the other one. */
export function guestPort(host: LabHostPlan): string | undefined {
  return host.isGuest && host.clusterAddress !== undefined ? `${host.name}-c` : undefined;
}

/** Every namespace that `buildNetworks` makes. */
export function namespacesOf(prefix: string, hosts: readonly LabHostPlan[]): string[] {
  return [
    ...NETWORKS.map((network) => networkNamespace(prefix, network)),
    ...hosts.filter(isNamespace).map(({ name }) => hostNamespace(prefix, name)),
  ];
}

export async function buildNetworks(
  prefix: string,
  scenario: Scenario,
  hosts: readonly LabHostPlan[],
  superPackets = false,
): Promise<void> {
  for (const namespace of namespacesOf(prefix, hosts)) {
    await must(['ip', 'netns', 'add', namespace]);
    const isNetwork = NETWORKS.some((network) => networkNamespace(prefix, network) === namespace);
    const sysctls = isNetwork ? IPV6_OFF : sysctlsOf(scenario);
    await must(['ip', 'netns', 'exec', namespace, 'sysctl', '-qw', ...sysctls]);
    await ipBatch(namespace, ['link set lo up']);
  }
  // The outside network last: it holds the guests' ends of wires to the other one.
  for (const network of NETWORKS.toReversed()) {
    await ipBatch(networkNamespace(prefix, network), [
      `link add ${BRIDGE_INTERFACE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
      `link set ${BRIDGE_INTERFACE} up`,
      ...hosts.flatMap((host) => portCommands(prefix, network, host, scenario.mtu[network])),
    ]);
  }
  for (const host of hosts.filter(isNamespace)) {
    await ipBatch(hostNamespace(prefix, host.name), hostCommands(scenario, host));
  }
  if (!superPackets) await everywhere(prefix, hosts, LIKE_WIRES);
  // Their windows are what judges us; and one CPU is too little for the packets of a flood.
  if (!hosts.some(({ kind }) => kind === 'kernel')) return;
  await everywhere(prefix, hosts, KEEP_ORDER);
}

async function everywhere(prefix: string, hosts: readonly LabHostPlan[], script: string): Promise<void> {
  for (const namespace of namespacesOf(prefix, hosts))
    await must(['ip', 'netns', 'exec', namespace, 'sh', '-c', script]);
}

/**
 * No network card puts many datagrams on a wire as one. A veth does: what a sender hands over as one (UDP_SEGMENT) crosses as it is, and
 * captures and other hosts would see packets that nobody sends. Without this the kernel cuts them where they enter the veth, as it does for
 * a card that can not. TCP is left alone: its super-packets are of use where both ends are ours.
 */
export const LIKE_WIRES =
  'ip -o link show type veth | while IFS=": @" read -r _ name _; do ethtool -K "$name" tx-udp-segmentation off || exit 1; done';

/**
 * A wire keeps order. A veth has a queue for each CPU instead, and packets of a thread that moves to another CPU while the machine is busy
 * overtake its earlier ones: all of them shall go through the queue of one.
 */
const KEEP_ORDER = 'for queue in /sys/class/net/*/queues/rx-*/rps_cpus; do echo 1 >"$queue"; done';

/** The host's port at a bridge. It takes what the host's end may send: never less than usual, or it would lose what nobody is told of. */
function portCommands(prefix: string, network: NetworkName, host: LabHostPlan, mtu = 1500): string[] {
  if (network === 'cluster' && host.clusterAddress === undefined) return [];
  const end = network === 'outside' ? guestPort(host) : undefined;
  return [
    portCommand(prefix, network, host),
    `link set ${host.name} master ${BRIDGE_INTERFACE} mtu ${Math.max(mtu, 1500)} up`,
    ...(end === undefined ? [] : [`link set ${end} up`]),
  ];
}

function portCommand(prefix: string, network: NetworkName, host: LabHostPlan): string {
  const veth = `link add ${host.name} type veth peer name`;
  if (isNamespace(host)) return `${veth} ${network}0 netns ${hostNamespace(prefix, host.name)}`;
  if (network === 'outside') return `tuntap add dev ${host.name} mode tap`;
  return `${veth} ${guestPort(host)} netns ${networkNamespace(prefix, 'outside')}`;
}

const IPV6_OFF = ['net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1'];
/** Addresses are set by hand, and nobody asks whether another host has them. */
const IPV6_QUIET = ['all', 'default'].flatMap((scope) =>
  ['accept_ra=0', 'autoconf=0', 'accept_dad=0', 'router_solicitations=0'].map(
    (setting) => `net.ipv6.conf.${scope}.${setting}`,
  ),
);

/**
 * What a host must have set before its first address. Without a second DVIPA IPv6 is off: neighbour discovery would be the
 * only IPv6 on the wires, and captures are judged packet by packet.
 */
export function sysctlsOf(scenario: Scenario): string[] {
  return scenario.dvipa6 === undefined ? IPV6_OFF : IPV6_QUIET;
}

/** Lines for `ip -batch` that give a host its addresses and routes. */
export function hostCommands(scenario: Scenario, host: LabHostPlan): string[] {
  const { mtu, endpoint, dvipa, dvipaIsEndpoint, onLink } = scenario;
  const commands = [
    ...linkCommands('outside0', mtu.outside),
    `addr add ${host.outsideAddress}/${OUTSIDE_PREFIX_BITS} dev outside0`,
  ];
  if (host.clusterAddress !== undefined) {
    commands.push(
      ...linkCommands('cluster0', mtu.cluster),
      `addr add ${host.clusterAddress}/${CLUSTER_PREFIX_BITS} dev cluster0`,
    );
  }
  if (host.innerAddress !== undefined) commands.push(`addr add ${host.innerAddress}/32 dev lo`);
  if (host.kind === 'router') {
    for (const address of new Set([endpoint, ...(dvipaIsEndpoint ? [dvipa] : [])]))
      commands.push(`addr add ${address}/32 dev outside0`);
  }
  // Targets hold the DVIPA itself later; their guard sees to it that they never answer for it.
  if (isClient(host) && onLink !== undefined) commands.push(`route add ${onLink} dev outside0`);
  return scenario.dvipa6 === undefined ? commands : [...commands, ...host6Commands(scenario, host)];
}

function isClient({ kind }: LabHostPlan): boolean {
  return kind === 'client' || kind === 'kernel';
}

/** No address that the kernel makes up itself: what it would say about them is noise on the wire. */
function linkCommands(name: string, mtu = 1500): string[] {
  return [`link set ${name} addrgenmode none`, `link set ${name} mtu ${mtu} up`];
}

/** Without a link-local address a host that sends from another's address, as targets do, could ask for no neighbour. */
function host6Commands(scenario: Scenario, host: LabHostPlan): string[] {
  const { endpoint6, dvipa6, dvipaIsEndpoint, onLink6 } = scenario;
  const last = host.outsideAddress6.split(':').at(-1);
  const commands = [
    `addr add fe80::${last}/64 dev outside0 nodad`,
    `addr add ${host.outsideAddress6}/${OUTSIDE_PREFIX6_BITS} dev outside0 nodad`,
  ];
  if (host.innerAddress6 !== undefined) commands.push(`addr add ${host.innerAddress6}/128 dev lo nodad`);
  if (host.kind === 'router') {
    for (const address of new Set([endpoint6, ...(dvipaIsEndpoint ? [dvipa6] : [])]))
      if (address !== undefined) commands.push(`addr add ${address}/128 dev outside0 nodad`);
  }
  if (isClient(host) && onLink6 !== undefined) commands.push(`route add ${onLink6} dev outside0`);
  return commands;
}

async function ipBatch(namespace: string, lines: readonly string[]): Promise<void> {
  await must(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Removes namespaces, and with them the interfaces in them. Those that are gone already are no fault. */
export async function removeNamespaces(namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) await run(['ip', 'netns', 'del', namespace]);
}
