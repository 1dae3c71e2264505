import { AddressMap } from '../packet/address-map.ts';
import type { IpAddress } from '../packet/address.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import type { ConnectionKey } from './connection-key.ts';

/** Ports from which targets open connections, of a DVIPA. The target at place i of the configuration has block number i. */
export interface SourcePorts {
  /** Inclusive. */
  readonly from: number;
  readonly to: number;
  /** Ports of one target. */
  readonly block: number;
}

/** Inclusive. */
export interface Ports {
  readonly from: number;
  readonly to: number;
}

/** Block number `place`; undefined: there is none, or the range ends before it. */
export function leaseOf({ from, to, block }: SourcePorts, place: number): Ports | undefined {
  const first = from + place * block;
  return place < 0 || first + block - 1 > to ? undefined : { from: first, to: first + block - 1 };
}

interface DvipaLeases {
  readonly ports: SourcePorts;
  /** By number of the block: the target's index; undefined: it may not serve the DVIPA. */
  readonly holders: readonly (number | undefined)[];
}

/**
 * Which target a source port of a DVIPA is leased to (docs/distribution.md). Nothing is granted or stored: the configuration alone
 * decides, so a lease is the same after a restart of anybody, and known before the first packet.
 */
export class PortLeases {
  readonly #dvipas = new AddressMap<DvipaLeases>();

  /** `holders`: by number of the block the index of its target, where that may serve the DVIPA. Replaces what there was. */
  set(dvipa: IpAddress, ports: SourcePorts, holders: readonly (number | undefined)[]): void {
    this.#dvipas.set(dvipa, { ports, holders });
  }

  remove(dvipa: IpAddress): void {
    this.#dvipas.delete(dvipa);
  }

  /** The target that the connection's port at the DVIPA is leased to; -1: nobody. Allocates nothing. */
  lesseeOf({ dvipa, protocol, destinationPort }: Readonly<ConnectionKey>): number {
    if (protocol !== IP_PROTOCOL.TCP && protocol !== IP_PROTOCOL.UDP) return -1;
    const leases = this.#dvipas.get(dvipa);
    if (leases === undefined) return -1;
    const { from, to, block } = leases.ports;
    if (destinationPort < from || destinationPort > to) return -1;
    return leases.holders[Math.floor((destinationPort - from) / block)] ?? -1;
  }
}

/** Lessees where nothing else is said: each target has the block of its own index. */
export function blocksByIndex(targets: readonly number[]): (number | undefined)[] {
  const holders: (number | undefined)[] = [];
  for (const target of targets) holders[target] = target;
  return holders;
}
