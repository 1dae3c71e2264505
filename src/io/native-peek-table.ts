declare const tableBrand: unique symbol;
/** SAs to peek into, by slot; their keys are wiped when it is collected. */
export interface NativePeekTable {
  readonly [tableBrand]: true;
}

declare const peekedBrand: unique symbol;
/** The arrays of one batch and its spans, and the table that its SAs are in. */
export interface NativePeeked {
  readonly [peekedBrand]: true;
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
  /** The arrays must not be transferred to another thread. */
  peekBind(
    table: NativePeekTable,
    slab: Buffer,
    espOffset: Uint32Array,
    espLength: Uint32Array,
    saSlot: Int32Array,
    verdict: Uint8Array,
    plain: Buffer,
    innerBytes: Uint32Array,
    available: Uint8Array,
  ): NativePeeked;
  peekDecrypt(batch: NativePeeked, count: number): void;
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
