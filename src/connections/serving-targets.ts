import type { IpAddress } from '../packet/address.ts';
import { AddressMap } from '../packet/address-map.ts';
import { hasTarget, maskOf, NO_TARGETS, type TargetMask } from './target-mask.ts';

/** Which targets are there, ready to serve which DVIPA, and drained. New connections are for those that are ready and not drained. */
export class ServingTargets {
  /** Not lost, drained ones among them. */
  #present: TargetMask = NO_TARGETS;
  readonly #ready = new AddressMap<TargetMask>();
  /** Drained on all DVIPAs, and on some. */
  #draining: TargetMask = NO_TARGETS;
  readonly #drainingOn = new AddressMap<TargetMask>();

  isPresent(target: number): boolean {
    return hasTarget(this.#present, target);
  }

  /** Ready, and not drained. */
  openOf(dvipa: IpAddress): TargetMask {
    return this.#readyOf(dvipa) & ~(this.#draining | this.#drainingOf(dvipa));
  }

  /** The target is there and ready to serve the DVIPA. */
  add(dvipa: IpAddress, target: number): void {
    this.#present |= maskOf(target);
    this.#ready.set(dvipa, this.#readyOf(dvipa) | maskOf(target));
  }

  /** The target serves the DVIPA no more, and is not drained there either. */
  withdraw(dvipa: IpAddress, target: number): void {
    this.#drainingOn.set(dvipa, this.#drainingOf(dvipa) & ~maskOf(target));
    this.#ready.set(dvipa, this.#readyOf(dvipa) & ~maskOf(target));
  }

  /** The target is lost. Whether it is drained holds for when it comes again. */
  remove(target: number): void {
    this.#present &= ~maskOf(target);
    for (const dvipa of this.#ready.keys()) this.#ready.set(dvipa, this.#readyOf(dvipa) & ~maskOf(target));
  }

  removeDvipa(dvipa: IpAddress): void {
    this.#ready.delete(dvipa);
    this.#drainingOn.delete(dvipa);
  }

  /** On all DVIPAs, or (also) on this one. */
  isDraining(target: number, dvipa?: IpAddress): boolean {
    const on = dvipa === undefined ? NO_TARGETS : this.#drainingOf(dvipa);
    return hasTarget(this.#draining | on, target);
  }

  /** On all DVIPAs, or on this one: the two are apart. */
  setDraining(target: number, isDraining: boolean, dvipa?: IpAddress): void {
    const marked = (mask: TargetMask) => (isDraining ? mask | maskOf(target) : mask & ~maskOf(target));
    if (dvipa === undefined) this.#draining = marked(this.#draining);
    else this.#drainingOn.set(dvipa, marked(this.#drainingOf(dvipa)));
  }

  #readyOf(dvipa: IpAddress): TargetMask {
    return this.#ready.get(dvipa) ?? NO_TARGETS;
  }

  #drainingOf(dvipa: IpAddress): TargetMask {
    return this.#drainingOn.get(dvipa) ?? NO_TARGETS;
  }
}
