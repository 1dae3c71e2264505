import type { IpAddress } from './address.ts';
import { AddressMap } from './address-map.ts';

/** Ours are configured, and few. */
const SHARED = 64;

/** Addresses of ours that thousands of SAs have: each is kept once. */
export class SharedAddresses {
  readonly #known = new AddressMap<IpAddress>();

  /** The same address, in as few copies as may be. Do not change it. */
  of(address: IpAddress): IpAddress {
    const known = this.#known.get(address);
    if (known === undefined && this.#known.size < SHARED) this.#known.set(address, address);
    return known ?? address;
  }
}
