import { smallWordsOf } from '../base/small-arrays.ts';
import { ADDRESS_WORDS, copyAddress, equalAddresses, formatAddress, type IpAddress } from './address.ts';

/** At most half of the index is taken. */
const PLACES_PER_ENTRY = 2;
const FIRST_PLACES = 8;

/** Values by address: a few (DVIPAs, endpoints), looked up several times per packet without an allocation. In the order they came. */
export class AddressMap<T> {
  #addresses: IpAddress[] = [];
  #values: T[] = [];
  /** The addresses behind each other, and where each is, by hash: the number of the entry and one; 0: none. */
  #words = new Uint32Array((FIRST_PLACES / PLACES_PER_ENTRY) * ADDRESS_WORDS);
  #index = new Uint32Array(FIRST_PLACES);

  /** `entries`: each address once, or the last counts. */
  constructor(entries: Iterable<readonly [IpAddress, T]> = []) {
    for (const [address, value] of entries) this.set(address, value);
  }

  get size(): number {
    return this.#values.length;
  }

  /** Copies the address. */
  set(address: IpAddress, value: T): void {
    const known = this.#find(address, 0);
    if (known >= 0) {
      this.#values[known] = value;
      return;
    }
    this.#addresses.push(smallWordsOf(address.subarray(0, ADDRESS_WORDS)));
    this.#values.push(value);
    if (this.size * PLACES_PER_ENTRY > this.#index.length) this.#arrange();
    else this.#place(this.size - 1);
  }

  /** The value of the address whose first word is `words[at]`. */
  get(words: Uint32Array, at = 0): T | undefined {
    const known = this.#find(words, at);
    return known < 0 ? undefined : this.#values[known];
  }

  has(words: Uint32Array, at = 0): boolean {
    return this.#find(words, at) >= 0;
  }

  /** False: it was not there. */
  delete(address: IpAddress): boolean {
    const known = this.#find(address, 0);
    if (known < 0) return false;
    // Copies, since somebody may be walking over the old ones.
    this.#addresses = this.#addresses.toSpliced(known, 1);
    this.#values = this.#values.toSpliced(known, 1);
    this.#arrange();
    return true;
  }

  clear(): void {
    this.#addresses = [];
    this.#values = [];
    this.#arrange();
  }

  values(): IterableIterator<T> {
    return this.#values.values();
  }

  keys(): IterableIterator<IpAddress> {
    return this.#addresses.values();
  }

  /** The number of the entry, or -1. */
  #find(words: Uint32Array, at: number): number {
    const mask = this.#index.length - 1;
    for (let place = hashOf(words, at) & mask; ; place = (place + 1) & mask) {
      const known = (this.#index[place] as number) - 1;
      if (known < 0 || equalAddresses(this.#words, known * ADDRESS_WORDS, words, at)) return known;
    }
  }

  #arrange(): void {
    let places = FIRST_PLACES;
    while (places < this.size * PLACES_PER_ENTRY) places *= 2;
    this.#index = new Uint32Array(places);
    this.#words = new Uint32Array((places / PLACES_PER_ENTRY) * ADDRESS_WORDS);
    for (let n = 0; n < this.size; n++) this.#place(n);
  }

  #place(n: number): void {
    const mask = this.#index.length - 1;
    const at = n * ADDRESS_WORDS;
    copyAddress(this.#addresses[n] as IpAddress, 0, this.#words, at);
    let place = hashOf(this.#words, at) & mask;
    while (this.#index[place] !== 0) place = (place + 1) & mask;
    this.#index[place] = n + 1;
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

/** Well mixed in its lowest bits: neighbours are told apart by their last ones. Only the configuration says what is in the table. */
function hashOf(words: Uint32Array, at: number): number {
  const mixed =
    (words[at] as number) ^ (words[at + 1] as number) ^ (words[at + 2] as number) ^ (words[at + 3] as number);
  return Math.imul(mixed, 0x9e3779b1) >>> 16;
}
