import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';

/** What the plugin `counters` counts: IKE messages (`in`, `out`; `req`, `resp`) and rekeyings. */
export const COUNTER_NAMES = [
  'ike-rekey-init',
  'ike-rekey-resp',
  'child-rekey',
  'invalid',
  'invalid-spi',
  'ike-init-in-req',
  'ike-init-in-resp',
  'ike-init-out-req',
  'ike-init-out-resp',
  'ike-auth-in-req',
  'ike-auth-in-resp',
  'ike-auth-out-req',
  'ike-auth-out-resp',
  'create-child-in-req',
  'create-child-in-resp',
  'create-child-out-req',
  'create-child-out-resp',
  'info-in-req',
  'info-in-resp',
  'info-out-req',
  'info-out-resp',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

export interface CounterSet {
  /** The connection, or empty: all together. */
  readonly name: string;
  readonly counters: Readonly<Record<CounterName, bigint>>;
  /** The section as it came. */
  readonly message: ViciMessage;
}

/** Whose counters: one connection's, or those of every connection that has some. Default: the global ones. */
export type CountersChoice = { readonly name?: string } | { readonly all: true };

/** `refused` without the plugin `counters`, and for a connection that has none. */
export async function getCounters(
  requester: Requester,
  choice: CountersChoice = {},
  options?: CallOptions,
): Promise<CounterSet[]> {
  const reply = await requester.request('get-counters', ViciMessage.of({ ...choice }), options);
  const sets = new Fields(reply, 'get-counters').section('counters').sections();
  return sets.map(([name, fields]) => {
    const counters = COUNTER_NAMES.map((counter) => [counter, fields.bigint(counter)]);
    return {
      name,
      counters: Object.fromEntries(counters) as CounterSet['counters'],
      message: fields.message,
    };
  });
}

/** Sets counters to 0. `refused` without the plugin `counters`. */
export async function resetCounters(
  requester: Requester,
  choice: CountersChoice = {},
  options?: CallOptions,
): Promise<void> {
  await requester.request('reset-counters', ViciMessage.of({ ...choice }), options);
}
