import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface InterfaceFacts {
  readonly name: string;
  readonly use: 'outside' | 'cluster';
  /** Undefined: no such interface. */
  readonly isUp: boolean | undefined;
  /** `rp_filter` of this interface and of `all`: the larger one counts. */
  readonly reversePath: number;
  /** Offloads that are on, in ethtool's names. Undefined: ethtool is not installed. */
  readonly features: ReadonlySet<string> | undefined;
}

/** Whether the agent gets joined packets and takes them apart; if not, why. */
export type TakesApart = 'yes' | 'switched-off' | 'kernel-too-old';

export interface HostInterfaces {
  readonly role: 'route' | 'target';
  readonly interfaces: readonly InterfaceFacts[];
  readonly takesApart: TakesApart;
  /** The target's TUN: `rp_filter` that counts there. Undefined: not there (yet), or a routing host. */
  readonly tun: { readonly name: string; readonly reversePath: number } | undefined;
}

const STRICT = 1;
/** Make one long UDP packet of several, and the capture gets that one. GRO of TCP is undone where it matters. */
const JOINS_UDP = ['rx-gro-list', 'rx-udp-gro-forwarding'];
const WHY_NOT: Readonly<Record<Exclude<TakesApart, 'yes'>, string>> = {
  'switched-off': 'offloads.gro is off',
  'kernel-too-old': 'only a kernel from 6.2 on shows it what was joined',
};

/** From this version on packet sockets tell of joined UDP (VIRTIO_NET_HDR_GSO_UDP_L4). `release` is the kernel's, as `uname -r` has it. */
export function kernelShowsJoinedUdp(release: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  return major > 6 || (major === 6 && minor >= 2);
}

export function judgeInterfaces({ role, interfaces, takesApart, tun }: HostInterfaces): Finding[] {
  return [
    ...interfaces.map(judgePresence),
    ...interfaces
      .filter(({ isUp }) => isUp !== undefined)
      .map((each) => judgeOffloads(each, role, takesApart)),
    ...interfaces.filter(({ isUp }) => isUp !== undefined).map(judgeReversePath),
    ...(tun === undefined ? [] : [judgeTunReversePath(tun)]),
  ];
}

function judgePresence({ name, use, isUp }: InterfaceFacts): Finding {
  if (isUp === undefined)
    return fail('interface', `no such interface`, `correct ${use}: { interface }, or make it`, name);
  return isUp
    ? ok('interface', `up (${use})`, name)
    : fail('interface', `down (${use})`, `ip link set ${name} up`, name);
}

function judgeOffloads(
  { name, use, features }: InterfaceFacts,
  role: string,
  takesApart: TakesApart,
): Finding {
  if (features === undefined)
    return skipped('offloads', 'ethtool is not installed: apt-get install ethtool', name);
  const joining = JOINS_UDP.filter((feature) => features.has(feature));
  // The link is a UDP socket: the kernel takes joined packets apart for it.
  if (role === 'route' && use === 'outside' && joining.length > 0 && takesApart !== 'yes') {
    const found = `${joining.join(', ')} on: several ESP packets may come to the agent as one, and are lost (${WHY_NOT[takesApart]})`;
    const off = joining.map((feature) => `${feature} off`).join(' ');
    return fail('offloads', found, `ethtool -K ${name} ${off}`, name);
  }
  if (features.has('large-receive-offload')) {
    const found = 'large-receive-offload on: what it joined cannot be taken apart as it came';
    return warn('offloads', found, `ethtool -K ${name} lro off`, name);
  }
  if (role === 'route' && use === 'outside' && joining.length > 0)
    return ok('offloads', `${joining.join(', ')} on: the agent takes apart what it joins`, name);
  return ok('offloads', 'none that joins packets of ESP', name);
}

function judgeReversePath({ name, use, reversePath }: InterfaceFacts): Finding {
  if (reversePath !== STRICT) return ok('rp-filter', `${reversePath}`, name);
  const found = `1 (strict) on the ${use} interface: what comes by another way than its answer goes is dropped silently`;
  return warn('rp-filter', found, setLoose(name), name);
}

/** Inner sources are anybody's, and no route to them leads to the TUN: with 1 nothing arrives at all. */
function judgeTunReversePath({ name, reversePath }: { name: string; reversePath: number }): Finding {
  if (reversePath !== STRICT) return ok('rp-filter', `${reversePath}`, name);
  const found = '1 (strict) on the TUN: the kernel drops everything that peers send';
  return fail('rp-filter', found, setLoose(name), name);
}

/** Dots in a name are slashes to sysctl. */
function setLoose(name: string): string {
  return `sysctl -w net/ipv4/conf/${name}/rp_filter=2`;
}
