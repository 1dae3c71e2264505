import { ADDRESS_WORDS, equalAddresses, formatAddress, type IpAddress } from './address.ts';

interface Entry<T> {
  readonly address: IpAddress;
  value: T;
}

/** Values by address: a few (DVIPAs, endpoints), looked up per packet without an allocation. */
export class AddressMap<T> {
  readonly #byHash = new Map<number, Entry<T>[]>();
  #size = 0;

  /** `entries`: each address once, or the last counts. */
  constructor(entries: Iterable<readonly [IpAddress, T]> = []) {
    for (const [address, value] of entries) this.set(address, value);
  }

  get size(): number {
    return this.#size;
  }

  /** Copies the address. */
  set(address: IpAddress, value: T): void {
    const entry = this.#find(address, 0);
    if (entry !== undefined) {
      entry.value = value;
      return;
    }
    const hash = hashOf(address, 0);
    const added = { address: address.slice(0, ADDRESS_WORDS), value };
    const chain = this.#byHash.get(hash);
    if (chain === undefined) this.#byHash.set(hash, [added]);
    else chain.push(added);
    this.#size++;
  }

  /** The value of the address whose first word is `words[at]`. */
  get(words: Uint32Array, at = 0): T | undefined {
    return this.#find(words, at)?.value;
  }

  has(words: Uint32Array, at = 0): boolean {
    return this.#find(words, at) !== undefined;
  }

  /** False: it was not there. */
  delete(address: IpAddress): boolean {
    const hash = hashOf(address, 0);
    const chain = this.#byHash.get(hash);
    const at = chain?.findIndex((entry) => equalAddresses(entry.address, 0, address, 0)) ?? -1;
    if (chain === undefined || at < 0) return false;
    chain.splice(at, 1);
    if (chain.length === 0) this.#byHash.delete(hash);
    this.#size--;
    return true;
  }

  clear(): void {
    this.#byHash.clear();
    this.#size = 0;
  }

  *values(): IterableIterator<T> {
    for (const chain of this.#byHash.values()) for (const { value } of chain) yield value;
  }

  *keys(): IterableIterator<IpAddress> {
    for (const chain of this.#byHash.values()) for (const { address } of chain) yield address;
  }

  #find(words: Uint32Array, at: number): Entry<T> | undefined {
    const chain = this.#byHash.get(hashOf(words, at));
    if (chain === undefined) return undefined;
    for (const entry of chain) if (equalAddresses(entry.address, 0, words, at)) return entry;
    return undefined;
  }
}

/** A set of addresses. */
export class AddressSet {
  readonly #map = new AddressMap<true>();

  constructor(addresses: Iterable<IpAddress> = []) {
    for (const address of addresses) this.add(address);
  }

  get size(): number {
    return this.#map.size;
  }

  add(address: IpAddress): void {
    this.#map.set(address, true);
  }

  has(words: Uint32Array, at = 0): boolean {
    return this.#map.has(words, at);
  }

  clear(): void {
    this.#map.clear();
  }

  /** As text, for people. */
  toJSON(): string[] {
    return [...this.#map.keys()].map((address) => formatAddress(address));
  }
}

function hashOf(words: Uint32Array, at: number): number {
  return (
    (words[at] as number) ^ (words[at + 1] as number) ^ (words[at + 2] as number) ^ (words[at + 3] as number)
  );
}
