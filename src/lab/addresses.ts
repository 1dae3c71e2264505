/**
 * The lab's addresses, all of documentation networks (RFC 5737, RFC 3849) but the inner IPv4 ones. Virtual
 * machines have the same (strongswan-conf/vagrant).
 */

export const OUTSIDE_PREFIX_BITS = 24;
export const CLUSTER_PREFIX_BITS = 24;
export const OUTSIDE_PREFIX6_BITS = 64;

/** A `kernel` is a client too: a stock Linux kernel in User Mode Linux, which does IPsec itself (XFRM). */
export type HostKind = 'router' | 'target' | 'client' | 'kernel';

/** Beyond that addresses of one kind are another's. */
export const MAX_HOSTS: Readonly<Record<HostKind, number>> = { router: 1, target: 16, client: 9, kernel: 9 };

export interface LabHostPlan {
  readonly kind: HostKind;
  /** A Linux kernel of its own (User Mode Linux), not a network namespace. */
  readonly isGuest: boolean;
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly outsideAddress: string;
  /** The IPv6 ones are there in scenarios with a `dvipa6` only. */
  readonly outsideAddress6: string;
  /** Undefined on clients and kernels: they have no cluster interface. */
  readonly clusterAddress?: string;
  /** Clients and kernels only: the addresses inside the tunnel, on their loopback interface. */
  readonly innerAddress?: string;
  readonly innerAddress6?: string;
}

export function planHost(kind: HostKind, number: number, isGuest = kind === 'kernel'): LabHostPlan {
  return { kind, number, isGuest, name: `${kind}${number}`, ...ADDRESSES[kind](number) };
}

type Addresses = Omit<LabHostPlan, 'kind' | 'number' | 'isGuest' | 'name'>;

const ADDRESSES: Readonly<Record<HostKind, (n: number) => Addresses>> = {
  router: (n) => ({ ...outside(n), clusterAddress: `198.51.100.${n}` }),
  target: (n) => ({ ...outside(20 + n), clusterAddress: `198.51.100.${10 + n}` }),
  client: (n) => ({ ...outside(100 + n), ...inner(n) }),
  kernel: (n) => ({ ...outside(110 + n), ...inner(10 + n) }),
};

function outside(last: number) {
  return { outsideAddress: `192.0.2.${last}`, outsideAddress6: `2001:db8::${last}` };
}

function inner(net: number) {
  return { innerAddress: `10.1.${net}.1`, innerAddress6: `2001:db8:1:${net}::1` };
}

export interface HostCounts {
  readonly targets: number;
  readonly clients: number;
  readonly kernels?: number;
  readonly routerIsGuest?: boolean;
}

/** The routing host first, then targets, clients and kernels. */
export function planHosts({
  targets,
  clients,
  kernels = 0,
  routerIsGuest = false,
}: HostCounts): LabHostPlan[] {
  const some = (kind: HostKind, count: number) =>
    Array.from({ length: count }, (_, index) => planHost(kind, index + 1));
  return [
    planHost('router', 1, routerIsGuest),
    ...some('target', targets),
    ...some('client', clients),
    ...some('kernel', kernels),
  ];
}
