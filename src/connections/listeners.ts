import { AddressMap } from '../packet/address-map.ts';
import type { IpAddress } from '../packet/address.ts';
import { hasTarget, maskOf, NO_TARGETS, type TargetMask } from './target-mask.ts';

/** A port of a protocol (6 TCP, 17 UDP), as the targets' reports of their listeners name it. */
export function listenerKey(protocol: number, port: number): number {
  return (protocol << 16) | port;
}

interface DvipaListeners {
  /** Targets that listen, by `listenerKey`; a key that nobody listens on is not in it. */
  readonly byKey: Map<number, TargetMask>;
  /** What each target has reported. */
  readonly byTarget: Map<number, ReadonlySet<number>>;
}

/** Which targets listen on which ports of which DVIPA, by their own last reports. Who has not reported listens nowhere. */
export class Listeners {
  readonly #dvipas = new AddressMap<DvipaListeners>();

  /** The target's whole list; it replaces the one before. */
  set(target: number, dvipa: IpAddress, listeners: ReadonlySet<number>): void {
    const known = this.#dvipas.get(dvipa) ?? { byKey: new Map(), byTarget: new Map() };
    this.#dvipas.set(dvipa, known);
    forget(known, target);
    known.byTarget.set(target, listeners);
    for (const key of listeners) known.byKey.set(key, (known.byKey.get(key) ?? NO_TARGETS) | maskOf(target));
  }

  /** The target is lost: what it said no longer holds. */
  remove(target: number): void {
    for (const known of this.#dvipas.values()) forget(known, target);
  }

  /** The target serves the DVIPA no more; undefined: nobody does. */
  withdraw(dvipa: IpAddress, target?: number): void {
    const known = this.#dvipas.get(dvipa);
    if (target === undefined) this.#dvipas.delete(dvipa);
    else if (known !== undefined) forget(known, target);
  }

  /** Targets that listen there. Allocates nothing. */
  on(dvipa: IpAddress, protocol: number, port: number): TargetMask {
    return this.#dvipas.get(dvipa)?.byKey.get(listenerKey(protocol, port)) ?? NO_TARGETS;
  }

  of(target: number, dvipa: IpAddress): ReadonlySet<number> | undefined {
    return this.#dvipas.get(dvipa)?.byTarget.get(target);
  }

  hasReported(target: number, dvipa: IpAddress): boolean {
    return this.#dvipas.get(dvipa)?.byTarget.has(target) === true;
  }
}

function forget({ byKey, byTarget }: DvipaListeners, target: number): void {
  for (const key of byTarget.get(target) ?? []) {
    const mask = byKey.get(key) ?? NO_TARGETS;
    if (!hasTarget(mask, target)) continue;
    const others = mask & ~maskOf(target);
    if (others === NO_TARGETS) byKey.delete(key);
    else byKey.set(key, others);
  }
  byTarget.delete(target);
}
