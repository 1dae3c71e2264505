import { fileURLToPath } from 'node:url';
import nodeGypBuild from 'node-gyp-build';

declare const peekTableBrand: unique symbol;
/** SAs to peek into, by slot; their keys are wiped when it is collected. */
export interface NativePeekTable {
  readonly [peekTableBrand]: true;
}

/** The functions of `plugins/node/packet-crypto` (see the README there). */
export interface NativeCrypto {
  /** Name and version of the OpenSSL that does the work: node's own. */
  libraries(): { readonly openssl: string };
  /** For tests: whether what is made from now on may use the CPU's instructions. Returns whether the CPU has them. */
  instructions(isUsed: boolean): boolean;
  peekCreate(): NativePeekTable;
  /** `shape`: SPI, method, bytes of IV and of ICV, blocks of lead, number of the first block. */
  peekInstall(
    table: NativePeekTable,
    slot: number,
    shape: Uint32Array,
    prefix: Uint8Array,
    key: Uint8Array,
  ): void;
  peekRemove(table: NativePeekTable, slot: number): void;
  peekDecrypt(
    table: NativePeekTable,
    slab: Buffer,
    espOffset: Uint32Array,
    espLength: Uint32Array,
    saSlot: Int32Array,
    verdict: Uint8Array,
    count: number,
    unknownSpi: number,
    truncated: number,
    plain: Buffer,
    innerBytes: Uint32Array,
    available: Uint8Array,
  ): void;
  /** Returns how many bytes are in `out`. */
  peekDecryptLong(
    table: NativePeekTable,
    slab: Buffer,
    espOffset: number,
    espLength: number,
    slot: number,
    out: Buffer,
  ): number;
}

let loaded: NativeCrypto | undefined;

/** Loads the addon once; throws with the way to build it if it is not there. */
export function nativeCrypto(): NativeCrypto {
  const folder =
    process.env['DVIPA_PACKET_CRYPTO'] ??
    fileURLToPath(new URL('../../plugins/node/packet-crypto', import.meta.url));
  try {
    loaded ??= nodeGypBuild(folder) as NativeCrypto;
  } catch (cause) {
    throw new Error(`the addon packet-crypto is not built (scripts/build-addons): ${folder}`, { cause });
  }
  return loaded;
}
