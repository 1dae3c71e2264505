/**
 * The lab's addresses, all of documentation networks (RFC 5737) but the clients' inner ones. The Vagrantfile computes
 * the same.
 */

export const OUTSIDE_PREFIX_BITS = 24;
export const CLUSTER_PREFIX_BITS = 24;
export const MAX_HOSTS_OF_A_KIND = 9;

export type HostKind = 'router' | 'target' | 'client';

export interface LabHostPlan {
  readonly kind: HostKind;
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly outsideAddress: string;
  /** Undefined on clients: they have no cluster interface. */
  readonly clusterAddress?: string;
  /** Clients only: the address inside the tunnel, on its loopback interface. */
  readonly innerAddress?: string;
}

export function planHost(kind: HostKind, number: number): LabHostPlan {
  return { kind, number, name: `${kind}${number}`, ...ADDRESSES[kind](number) };
}

const ADDRESSES: Readonly<Record<HostKind, (n: number) => Omit<LabHostPlan, 'kind' | 'number' | 'name'>>> = {
  router: (n) => ({ outsideAddress: `192.0.2.${n}`, clusterAddress: `198.51.100.${n}` }),
  target: (n) => ({ outsideAddress: `192.0.2.${20 + n}`, clusterAddress: `198.51.100.${10 + n}` }),
  client: (n) => ({ outsideAddress: `192.0.2.${100 + n}`, innerAddress: `10.1.${n}.1` }),
};

/** The routing host first, then targets, then clients. */
export function planHosts(targets: number, clients: number): LabHostPlan[] {
  return [
    planHost('router', 1),
    ...Array.from({ length: targets }, (_, index) => planHost('target', index + 1)),
    ...Array.from({ length: clients }, (_, index) => planHost('client', index + 1)),
  ];
}
