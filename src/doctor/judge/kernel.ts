import { fail, type Finding, ok, type Outcome, warn } from '../finding.ts';

export interface KernelFacts {
  /** Of CAP_NET_ADMIN and CAP_NET_RAW those that are missing. */
  readonly missingCapabilities: readonly string[];
  readonly addon: Outcome;
  /** What does packets' cryptography, what was asked for, and why it is not faster. */
  readonly crypto: {
    readonly name: string;
    readonly version: string;
    readonly because?: string;
    readonly wanted: string;
  };
  /** Undefined: not needed on this host. */
  readonly tun: Outcome | undefined;
  readonly packetSocket: Outcome;
  readonly nftables: Outcome;
  readonly hasIpv6: boolean;
  /** Addresses of the configuration that are IPv6. */
  readonly ipv6Addresses: readonly string[];
}

/** What a host must have before any agent can work on it. */
export function judgeKernel(facts: KernelFacts): Finding[] {
  const { missingCapabilities: missing, addon, tun, packetSocket, nftables } = facts;
  return [
    missing.length === 0
      ? ok('capabilities', 'CAP_NET_ADMIN and CAP_NET_RAW')
      : fail('capabilities', `missing: ${missing.join(', ')}`, 'run it as root, as the agents are'),
    addon.isOk
      ? ok('addon', 'packet-io loads')
      : fail('addon', addon.reason, 'build it for this Node.js: scripts/build-addons'),
    judgeCrypto(facts.crypto),
    ...(tun === undefined ? [] : [judgeTun(tun)]),
    packetSocket.isOk
      ? ok('kernel-packet-socket', 'AF_PACKET works')
      : fail('kernel-packet-socket', packetSocket.reason, 'load the module: modprobe af_packet'),
    nftables.isOk
      ? ok('kernel-nftables', 'nft lists tables')
      : fail('kernel-nftables', nftables.reason, 'apt-get install nftables; modprobe nf_tables'),
    judgeIpv6(facts),
  ];
}

function judgeCrypto({ name, version, because, wanted }: KernelFacts['crypto']): Finding {
  const library = `${name} ${version}`;
  if (because === undefined) return ok('crypto-library', library);
  const found = `${library}: ${because}`;
  if (name === 'node')
    return warn('crypto-library', found, 'build the addon for this Node.js: scripts/build-addons');
  if (wanted === 'auto') return ok('crypto-library', found);
  return warn('crypto-library', found, 'apt-get install libipsec-mb1, or crypto.library: auto');
}

function judgeTun(tun: Outcome): Finding {
  return tun.isOk
    ? ok('kernel-tun', '/dev/net/tun opens')
    : fail('kernel-tun', tun.reason, 'load the module: modprobe tun');
}

function judgeIpv6({ hasIpv6, ipv6Addresses }: KernelFacts): Finding {
  if (ipv6Addresses.length === 0) return ok('kernel-ipv6', 'no address needs IPv6');
  if (hasIpv6) return ok('kernel-ipv6', `the kernel has IPv6, for ${ipv6Addresses.join(', ')}`);
  const remedy = 'start the kernel without ipv6.disable=1, or take the address out of the configuration';
  return fail('kernel-ipv6', `the kernel has no IPv6, and ${ipv6Addresses.join(', ')} needs it`, remedy);
}
