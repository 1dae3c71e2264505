declare const stamperBrand: unique symbol;
/** SAs whose packets are stamped here, by slot, with their windows. Keys are wiped when it is collected. */
export interface NativeStamperTable {
  readonly [stamperBrand]: true;
}

declare const stampedBrand: unique symbol;
/** The arrays of one batch, and the table that its SAs are in. */
export interface NativeStamped {
  readonly [stampedBrand]: true;
}

declare const maskerBrand: unique symbol;
/** SAs whose packets are stamped elsewhere, by slot. Keys are wiped when it is collected. */
export interface NativeMaskerTable {
  readonly [maskerBrand]: true;
}

/** The part of packet-crypto that `NativeStamper` and `NativeMasker` use. */
export interface NativeStampFunctions {
  /** `verdicts`: of the reasons to refuse, in the order of `refusal_t` in stamper.c. */
  stamperCreate(verdicts: Uint8Array): NativeStamperTable;
  /** `shape`: SPI, group, epoch, bytes of the ICV, whether there is ESN. `key`: without salt. */
  stamperInstall(
    table: NativeStamperTable,
    slot: number,
    shape: Uint32Array,
    key: Uint8Array,
    link: Uint8Array,
    check: Uint8Array,
  ): void;
  stamperRemove(table: NativeStamperTable, slot: number): void;
  /** The arrays must not be transferred to another thread. */
  stamperBind(
    table: NativeStamperTable,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    saSlot: Int32Array,
    verdict: Uint8Array,
    sequenceHigh: Uint32Array,
    sequenceLow: Uint32Array,
    senderId: Uint16Array,
  ): NativeStamped;
  stamperAccept(batch: NativeStamped, count: number, epoch: number): void;
  stamperStamp(batch: NativeStamped, count: number): void;
  /** `verdicts`: in the order of `refusal_t` in masker.c. */
  maskerCreate(verdicts: Uint8Array): NativeMaskerTable;
  /** `shape`: group, epoch, bytes of the ICV. */
  maskerInstall(
    table: NativeMaskerTable,
    slot: number,
    shape: Uint32Array,
    link: Uint8Array,
    check: Uint8Array,
  ): void;
  maskerRemove(table: NativeMaskerTable, slot: number): void;
  maskerMask(
    table: NativeMaskerTable,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    saSlot: Int32Array,
    verdict: Uint8Array,
    count: number,
    trafficClass: Uint8Array,
    hopLimit: Uint8Array,
    dontFragment: Uint8Array,
  ): void;
}
