import { type Verdict, verdictOf } from '../base/verdict.ts';
import type { SaMasker, StampBatch, StampMaskBatch } from '../ipsec/packet-crypto.ts';
import { STAMP_HEADER_BYTES } from '../ipsec/stamp-packet.ts';
import type { StampSealerOptions } from '../ipsec/stamp-sealer.ts';
import { nativeCrypto } from './native-crypto.ts';
import type { NativeMaskerTable } from './native-stamp-tables.ts';
import { SlotKeys } from './slot-keys.ts';

/** In the order of `refusal_t` in masker.c. */
const REFUSALS = ['no-number', 'too-big'] as const;

/** The maskers of one data plane's SAs inside the addon packet-crypto: one call masks a batch of any number of SAs. */
export class NativeMasks implements StampMaskBatch {
  readonly #native = nativeCrypto();
  readonly #table: NativeMaskerTable = this.#native.maskerCreate(Uint8Array.from(REFUSALS, verdictOf));
  readonly #owners = new Map<number, NativeMasker>();
  readonly #keys = new SlotKeys((slot) => {
    this.#owners.delete(slot);
    this.#native.maskerRemove(this.#table, slot);
  });

  install(saSlot: number, owner: NativeMasker, options: StampSealerOptions): void {
    const { group, epoch, icvBytes, link, check } = options;
    const shape = Uint32Array.of(group, epoch, icvBytes);
    this.#native.maskerInstall(this.#table, saSlot, shape, link.reveal(), check.reveal());
    this.#keys.installed(saSlot, link, check);
    this.#owners.set(saSlot, owner);
  }

  /** False once a key was wiped, or the slot is another's. */
  isOf(saSlot: number, owner: NativeMasker): boolean {
    return this.#owners.get(saSlot) === owner;
  }

  remove(saSlot: number, owner: NativeMasker): void {
    if (this.isOf(saSlot, owner)) this.#keys.remove(saSlot);
  }

  mask(batch: StampBatch): void {
    this.#native.maskerMask(
      this.#table,
      batch.slab,
      batch.offset,
      batch.length,
      batch.saSlot,
      batch.verdict,
      batch.count,
      batch.trafficClass,
      batch.hopLimit,
      batch.dontFragment,
    );
  }

  /** One packet of the SA in `saSlot`. */
  maskOne(batch: StampBatch, i: number, saSlot: number): Verdict {
    const verdict = Uint8Array.of(0);
    const only = <Column extends Uint8Array | Uint32Array>(column: Column) =>
      column.subarray(i, i + 1) as Column;
    this.#native.maskerMask(
      this.#table,
      batch.slab,
      only(batch.offset),
      only(batch.length),
      Int32Array.of(saSlot),
      verdict,
      1,
      only(batch.trafficClass),
      only(batch.hopLimit),
      only(batch.dontFragment),
    );
    return verdict[0] as Verdict;
  }
}

/** The target's end of stamping, for one SA in one epoch: what `StampSealer` is, in the addon. */
export class NativeMasker implements SaMasker {
  readonly headerBytes = STAMP_HEADER_BYTES;
  readonly icvBytes: number;
  readonly epoch: number;
  readonly together: NativeMasks;
  readonly #saSlot: number;

  constructor(masks: NativeMasks, saSlot: number, options: StampSealerOptions) {
    this.icvBytes = options.icvBytes;
    this.epoch = options.epoch;
    this.together = masks;
    this.#saSlot = saSlot;
    masks.install(saSlot, this, options);
  }

  get isUsable(): boolean {
    return this.together.isOf(this.#saSlot, this);
  }

  mask(batch: StampBatch, i: number): Verdict {
    return this.isUsable ? this.together.maskOne(batch, i, this.#saSlot) : verdictOf('no-number');
  }

  close(): void {
    this.together.remove(this.#saSlot, this);
  }
}
