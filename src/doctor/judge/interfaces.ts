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

export interface HostInterfaces {
  readonly role: 'route' | 'target';
  readonly interfaces: readonly InterfaceFacts[];
  /** The target's TUN: `rp_filter` that counts there. Undefined: not there (yet), or a routing host. */
  readonly tun: { readonly name: string; readonly reversePath: number } | undefined;
}

const STRICT = 1;
/** Make one long UDP packet of several, and the capture gets that one. GRO of TCP is undone where it matters. */
const JOINS_UDP = ['rx-gro-list', 'rx-udp-gro-forwarding'];

export function judgeInterfaces({ role, interfaces, tun }: HostInterfaces): Finding[] {
  return [
    ...interfaces.map(judgePresence),
    ...interfaces.filter(({ isUp }) => isUp !== undefined).map((each) => judgeOffloads(each, role)),
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

function judgeOffloads({ name, use, features }: InterfaceFacts, role: string): Finding {
  if (features === undefined)
    return skipped('offloads', 'ethtool is not installed: apt-get install ethtool', name);
  const joining = JOINS_UDP.filter((feature) => features.has(feature));
  // The link is a UDP socket: the kernel takes joined packets apart for it.
  if (role === 'route' && use === 'outside' && joining.length > 0) {
    const found = `${joining.join(', ')} on: several ESP packets may come to the agent as one, and are lost`;
    const off = joining.map((feature) => `${feature} off`).join(' ');
    return fail('offloads', found, `ethtool -K ${name} ${off}`, name);
  }
  if (features.has('large-receive-offload')) {
    const found = 'large-receive-offload on: what it joined cannot be taken apart as it came';
    return warn('offloads', found, `ethtool -K ${name} lro off`, name);
  }
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
