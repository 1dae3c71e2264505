import { type ConnectionKey, newConnectionKey } from '../../src/connections/connection-key.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { listenerKey } from '../../src/connections/listeners.ts';
import type { DvipaSettings } from '../../src/connections/services.ts';
import { addr } from '../support/inner-packets.ts';

export const SEED = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
export const DVIPA = addr('203.0.113.10');
const TCP = 6;

/** A connection of `10.1.1.1` in SA group 1 to port 80, but for what is given. */
export const flow = (sourcePort: number, more: Partial<ConnectionKey> = {}): ConnectionKey => ({
  ...newConnectionKey(),
  dvipa: DVIPA,
  group: 1,
  protocol: TCP,
  source: addr('10.1.1.1'),
  sourcePort,
  destinationPort: 80,
  ...more,
});

/** Connection number `i` of very many, each of an own client. */
export const client = (i: number, more: Partial<ConnectionKey> = {}): ConnectionKey =>
  flow(i & 0xffff, { source: addr(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`), ...more });

export function distributorOf(settings: DvipaSettings, targets: readonly number[] = [0, 1, 2]): Distributor {
  const distributor = new Distributor({ seed: SEED, capacity: 2 ** 14 });
  distributor.setDvipa(DVIPA, settings);
  for (const target of targets) distributor.addTarget(DVIPA, target);
  return distributor;
}

/** Opens a connection and lets its target confirm it. Returns the target. */
export function open(distributor: Distributor, key: ConnectionKey, now = 0): number {
  const target = distributor.route(key, true, undefined, now);
  if (target >= 0) distributor.confirm(key, target, now);
  return target;
}

/** How many of `count` new connections each target gets, one after another. */
export function shares(
  distributor: Distributor,
  count: number,
  more: Partial<ConnectionKey> = {},
  from = 0,
): number[] {
  const got = Array.from({ length: 8 }, () => 0);
  for (let i = 0; i < count; i++) {
    const target = open(distributor, client(from + i, more));
    got[target] = (got[target] ?? 0) + 1;
  }
  return got;
}

export const tcpPorts = (...ports: number[]) => new Set(ports.map((port) => listenerKey(TCP, port)));
