declare const tableBrand: unique symbol;
/** SAs to peek into, by slot; their keys are wiped when it is collected. */
export interface NativePeekTable {
  readonly [tableBrand]: true;
}

/** The part of packet-crypto that `NativePeek` uses. */
export interface NativePeekFunctions {
  /** `verdicts`: in the order of `refusal_t` in peek.c. */
  peekCreate(verdicts: Uint8Array): NativePeekTable;
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
