import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { type ViciInput, ViciMessage } from '../message.ts';
import { configFields } from './config-fields.ts';

/** A pool of virtual addresses, in the terms of swanctl.conf (`pools`). Attributes go to every client of the pool. */
export interface PoolConfig {
  /** Subnet `10.3.0.0/24`, or range `from-to`. */
  readonly addrs: string;
  readonly address?: readonly string[];
  readonly dns?: readonly string[];
  readonly nbns?: readonly string[];
  readonly dhcp?: readonly string[];
  readonly netmask?: readonly string[];
  readonly server?: readonly string[];
  readonly subnet?: readonly string[];
  /** From 6.0 on. */
  readonly pCscf?: readonly string[];
  readonly splitInclude?: readonly string[];
  readonly splitExclude?: readonly string[];
  /** By number of the attribute (IANA, IKEv2 Configuration Payload Attribute Types): addresses as text, or the bytes. */
  readonly numbered?: ReadonlyMap<number, readonly (string | Uint8Array)[]>;
}

/** Loads a pool, or changes the one of this name; `refused` if that has leases online and other addresses. */
export async function loadPool(
  requester: Requester,
  name: string,
  pool: PoolConfig,
  options?: CallOptions,
): Promise<void> {
  const { numbered = new Map(), ...named } = pool;
  const attributes = [...numbered].map(([type, values]): [string, ViciInput] => [String(type), values]);
  const section = ViciMessage.of([...configFields(named), ...attributes]);
  await requester.request('load-pool', ViciMessage.of([[name, section]]), options);
}

/** `refused` if it has leases online, or is not there. */
export async function unloadPool(requester: Requester, name: string, options?: CallOptions): Promise<void> {
  await requester.request('unload-pool', ViciMessage.of({ name }), options);
}

export interface Lease {
  readonly address: string;
  /** Of the client. */
  readonly identity: string;
  readonly isOnline: boolean;
}

export interface Pool {
  readonly name: string;
  /** First address. */
  readonly base: string;
  /** Addresses in all. */
  readonly size: number;
  readonly online: number;
  /** Leases kept for clients that are not there. */
  readonly offline: number;
  /** Empty if they were not asked for. */
  readonly leases: readonly Lease[];
  /** The section as it came. */
  readonly message: ViciMessage;
}

export async function getPools(
  requester: Requester,
  filter: { readonly name?: string /** List leases too. */; readonly leases?: boolean } = {},
  options?: CallOptions,
): Promise<Pool[]> {
  const reply = await requester.request('get-pools', ViciMessage.of({ ...filter }), options);
  return new Fields(reply, 'get-pools').sections().map(([name, fields]) => ({
    name,
    base: fields.address('base'),
    size: fields.number('size'),
    online: fields.number('online'),
    offline: fields.number('offline'),
    leases: fields.has('leases')
      ? fields
          .section('leases')
          .sections()
          .map(([, lease]) => leaseOf(lease))
      : [],
    message: fields.message,
  }));
}

function leaseOf(fields: Fields): Lease {
  return {
    address: fields.address('address'),
    identity: fields.text('identity'),
    isOnline: fields.oneOf('status', ['online', 'offline']) === 'online',
  };
}
