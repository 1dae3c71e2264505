import { isIpv4 } from '../packet/address.ts';
import { KeyedHash } from './connection-key.ts';

const TWO_20 = 0x10_0000;
const TWO_52 = 2 ** 52;

/**
 * Outer sources (address and UDP port) as one number each, for remembering where a packet came from: with IPv4 the number is
 * exact (48 bits), with IPv6 it is a keyed hash of 52 bits, which nobody who does not know the seed can make collide. Never 0.
 */
export class OuterSources {
  readonly #hash: KeyedHash;

  /** `seed`: `HASH_SEED_BYTES` random bytes. */
  constructor(seed: Uint8Array) {
    this.#hash = new KeyedHash(seed);
  }

  /** The words of the address begin at `at`. No allocation. */
  numberOf(words: Uint32Array, at: number, port: number): number {
    const last = words[at + 3] as number;
    if (isIpv4(words, at)) return last * 0x1_0000 + port;
    const first = words[at] as number;
    const second = words[at + 1] as number;
    const third = words[at + 2] as number;
    const high = this.#hash.words(first, second, third, last, port);
    const low = this.#hash.words(last, third, second, first, port + 0x1_0000);
    return TWO_52 + high * TWO_20 + (low % TWO_20);
  }
}
