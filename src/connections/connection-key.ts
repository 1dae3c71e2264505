import { ADDRESS_WORDS, type IpAddress, isIpv4, newAddress } from '../packet/address.ts';

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
const KEY_WORDS = 11;
/** The same of IPv4: all addresses begin alike, so one word of each does. Another length, so that none is mistaken for the other. */
const IPV4_KEY_WORDS = 5;
const FIVE_WORDS = 5;
/** Rounds after the last word. */
const FINAL_ROUNDS = 3;

/**
 * HalfSipHash-1-3 with a 32-bit result over the words of a connection key (the function Linux calls
 * `hsiphash` on 32-bit machines). Keyed with a random seed, so that nobody outside can aim at one slot or
 * one target; not a MAC.
 */
export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;
  /** Input, and room for its length. */
  readonly #words = new Int32Array(KEY_WORDS + 1);

  /** `seed`: 8 random bytes, new with every start of the agent. */
  constructor(seed: Uint8Array) {
    if (seed.length !== HASH_SEED_BYTES) throw new RangeError('the seed has 8 bytes');
    const view = new DataView(seed.buffer, seed.byteOffset, seed.byteLength);
    this.#key0 = view.getInt32(0, true);
    this.#key1 = view.getInt32(4, true);
  }

  /** 32 bits, signed: the engine keeps an unsigned number above 2^31 on the heap, and this is made for every packet. */
  hash(key: ConnectionKey): number {
    const words = this.#words;
    const ports = (key.sourcePort << 16) | key.destinationPort;
    if (isIpv4(key.dvipa) && isIpv4(key.source)) {
      words[0] = key.dvipa[ADDRESS_WORDS - 1] as number;
      words[1] = key.source[ADDRESS_WORDS - 1] as number;
      words[2] = key.group;
      words[3] = ports;
      words[4] = key.protocol;
      return this.#run(IPV4_KEY_WORDS);
    }
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      words[word] = key.dvipa[word] as number;
      words[ADDRESS_WORDS + word] = key.source[word] as number;
    }
    words[2 * ADDRESS_WORDS] = key.group;
    words[2 * ADDRESS_WORDS + 1] = ports;
    words[2 * ADDRESS_WORDS + 2] = key.protocol;
    return this.#run(KEY_WORDS);
  }

  /** The same over any five 32-bit words, unsigned. */
  words(a: number, b: number, c: number, d: number, e: number): number {
    const words = this.#words;
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
    words[4] = e;
    return this.#run(FIVE_WORDS) >>> 0;
  }

  /** Over the first `count` words. The state is in local variables, which is what makes it fast. */
  #run(count: number): number {
    const words = this.#words;
    words[count] = count << 26; // bytes, in the highest byte
    let v0 = this.#key0;
    let v1 = this.#key1;
    let v2 = 0x6c796765 ^ this.#key0;
    let v3 = 0x74656462 ^ this.#key1;
    for (let i = 0; i <= count + FINAL_ROUNDS; i++) {
      const word = i <= count ? (words[i] as number) : 0;
      v3 ^= word;
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
      v0 ^= word;
      if (i === count) v2 ^= 0xff;
    }
    return v1 ^ v3;
  }
}
