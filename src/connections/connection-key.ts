import { ADDRESS_WORDS, type IpAddress, newAddress } from '../packet/address.ts';

/** In place of an SA group: the connection came in clear. SA groups are numbered from 1. */
export const CLEAR_GROUP = 0;

/**
 * What tells connections apart (docs/inbound.md): seen from the peer, plus the SA group, so that two peers with
 * equal inner addresses never share an entry. The hot path keeps one object and writes its fields per packet.
 */
export interface ConnectionKey {
  readonly dvipa: IpAddress;
  /** The plugin's number of the SA group. */
  group: number;
  /** IP protocol number. */
  protocol: number;
  /** The peer's inner address. */
  readonly source: IpAddress;
  sourcePort: number;
  destinationPort: number;
}

export function newConnectionKey(): ConnectionKey {
  return {
    dvipa: newAddress(),
    group: 0,
    protocol: 0,
    source: newAddress(),
    sourcePort: 0,
    destinationPort: 0,
  };
}

/** Bytes of seed that `KeyedHash` takes. */
export const HASH_SEED_BYTES = 8;
/** Two addresses, group, ports, protocol. */
const KEY_BYTES = 44;
const FIVE_WORDS_BYTES = 20;

/**
 * HalfSipHash-1-3 with a 32-bit result over the words of a connection key (the function Linux calls
 * `hsiphash` on 32-bit machines). Keyed with a random seed, so that nobody outside can aim at one slot or
 * one target; not a MAC.
 */
export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  /** `seed`: 8 random bytes, new with every start of the agent. */
  constructor(seed: Uint8Array) {
    if (seed.length !== HASH_SEED_BYTES) throw new RangeError('the seed has 8 bytes');
    const view = new DataView(seed.buffer, seed.byteOffset, seed.byteLength);
    this.#key0 = view.getUint32(0, true);
    this.#key1 = view.getUint32(4, true);
  }

  /** 32 bits, unsigned. No allocation. */
  hash(key: ConnectionKey): number {
    this.#begin();
    for (let word = 0; word < ADDRESS_WORDS; word++) this.#absorb(key.dvipa[word] as number);
    for (let word = 0; word < ADDRESS_WORDS; word++) this.#absorb(key.source[word] as number);
    this.#absorb(key.group);
    this.#absorb((key.sourcePort << 16) | key.destinationPort);
    this.#absorb(key.protocol);
    return this.#end(KEY_BYTES);
  }

  /** The same over any five 32-bit words. */
  words(a: number, b: number, c: number, d: number, e: number): number {
    this.#begin();
    this.#absorb(a);
    this.#absorb(b);
    this.#absorb(c);
    this.#absorb(d);
    this.#absorb(e);
    return this.#end(FIVE_WORDS_BYTES);
  }

  #begin(): void {
    this.#v0 = this.#key0;
    this.#v1 = this.#key1;
    this.#v2 = 0x6c796765 ^ this.#key0;
    this.#v3 = 0x74656462 ^ this.#key1;
  }

  #end(bytes: number): number {
    this.#absorb(bytes << 24);
    this.#v2 ^= 0xff;
    this.#round();
    this.#round();
    this.#round();
    return (this.#v1 ^ this.#v3) >>> 0;
  }

  #absorb(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#v0 ^= word;
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}
