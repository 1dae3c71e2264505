import { fileURLToPath } from 'node:url';
import nodeGypBuild from 'node-gyp-build';
import type { NativeCrew } from './native.ts';
import type { NativePeekFunctions } from './native-peek-table.ts';
import type { NativeStampFunctions } from './native-stamp-tables.ts';

declare const tableBrand: unique symbol;
/** The SAs of one `PacketCrypto` inside the addon. They are wiped when they are removed, and when it is collected. */
export interface NativeSas {
  readonly [tableBrand]: true;
}

/** What the addon works with. */
export interface CryptoLibraries {
  /** Name and version of the OpenSSL that is inside node. */
  readonly openssl: string;
  /** Version of intel-ipsec-mb, if it can be used here. */
  readonly ipsecMb?: string;
  /** Else what is missing, one clause. */
  readonly ipsecMbMissing?: string;
}

/**
 * The functions of `plugins/node/packet-crypto` (see the README there): mechanism only, on slabs and typed arrays that
 * belong to the caller. Misuse throws before any packet is touched.
 */
export interface NativeCrypto extends NativePeekFunctions, NativeStampFunctions {
  /**
   * For tests: what is made from now on goes no better way than 0, the portable one, 1, AES-NI and PCLMULQDQ, or 2, VAES besides. Returns the
   * best that the CPU has.
   */
  instructions(way: number): number;
  libraries(): CryptoLibraries;
  /** `verdicts`: of `SUITE_VERDICTS`, in that order. `crew`: who shares the packets of a vector; undefined: the caller does all. */
  create(hasIpsecMb: boolean, verdicts: Uint8Array, crew: NativeCrew | undefined): NativeSas;
  /** `suite`: nine numbers, in the order of `SUITE_*` in table.c. Throws if the library has no such suite. */
  install(
    sas: NativeSas,
    saSlot: number,
    suite: Uint32Array,
    cipher: string,
    primitive: string,
    key: Uint8Array,
    integrityKey: Uint8Array,
  ): void;
  /** Wipes the contexts. */
  remove(sas: NativeSas, saSlot: number): void;
  /** How many packets were genuine and well formed, dummies included. */
  open(
    sas: NativeSas,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    saSlot: Int32Array,
    sequenceHigh: Uint32Array,
    sequenceLow: Uint32Array,
    nextHeader: Uint8Array,
    verdict: Uint8Array,
    count: number,
  ): number;
  /** Not numbered: all get number 0. `random`: 16 bytes for each packet, if there is an SA that draws its IVs. */
  seal(
    sas: NativeSas,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    saSlot: Int32Array,
    sequenceHigh: Uint32Array,
    sequenceLow: Uint32Array,
    ivHigh: Uint32Array,
    ivLow: Uint32Array,
    nextHeader: Uint8Array,
    verdict: Uint8Array,
    count: number,
    isNumbered: boolean,
    random: Uint8Array,
  ): void;
  /** Packets under the key in `slot`, framed, where `marked[i]` is not 0 (`link-cipher.ts`). Nothing keeps a nonce from being used twice here. */
  linkSeal(...args: LinkArguments): void;
  linkOpen(...args: LinkArguments): void;
}

type LinkArguments = [
  keys: NativeSas,
  slot: number,
  slab: Buffer,
  offset: Uint32Array,
  length: Uint32Array,
  verdict: Uint8Array,
  marked: Uint8Array,
  count: number,
  epoch: number,
];

let loaded: NativeCrypto | undefined;

/** Loads the addon once; throws with the way to build it if it is not there. */
export function nativeCrypto(): NativeCrypto {
  loaded ??= load();
  return loaded;
}

function load(): NativeCrypto {
  const folder =
    process.env['DVIPA_PACKET_CRYPTO'] ??
    fileURLToPath(new URL('../../plugins/node/packet-crypto', import.meta.url));
  try {
    return nodeGypBuild(folder) as NativeCrypto;
  } catch (cause) {
    throw new Error(`the addon packet-crypto is not built (scripts/build-addons): ${folder}`, { cause });
  }
}
