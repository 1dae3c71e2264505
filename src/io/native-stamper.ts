import { verdictOf } from '../base/verdict.ts';
import type { StampCrypto, StampedBatch } from '../ipsec/stamp-crypto.ts';
import { stampedSuite, type StamperOptions } from '../ipsec/stamper.ts';
import { nativeCrypto } from './native-crypto.ts';
import type { NativeStamperTable } from './native-stamp-tables.ts';
import { SlotKeys } from './slot-keys.ts';

/** In the order of `refusal_t` in stamper.c. */
const REFUSALS = [
  'stamp-malformed',
  'stamp-epoch',
  'stamp-check',
  'stamp-sender',
  'stamp-repeat',
  'no-number',
] as const;

/** Stamps with the addon packet-crypto, whose windows are the model's (`stamp-window.ts`): one call a step for a batch of any number of SAs. */
export class NativeStamper implements StampCrypto {
  readonly #native = nativeCrypto();
  readonly #table: NativeStamperTable = this.#native.stamperCreate(Uint8Array.from(REFUSALS, verdictOf));
  readonly #keys = new SlotKeys((slot) => this.#native.stamperRemove(this.#table, slot));

  install(saSlot: number, { sa, epoch, link, check }: StamperOptions): void {
    const { keyBytes, icvBytes } = stampedSuite(sa);
    const shape = Uint32Array.of(sa.spi, sa.group, epoch, icvBytes, sa.hasEsn ? 1 : 0);
    const key = sa.encryption.key.reveal().subarray(0, keyBytes);
    this.#native.stamperInstall(this.#table, saSlot, shape, key, link.reveal(), check.reveal());
    this.#keys.installed(saSlot, sa.encryption.key, link, check);
  }

  remove(saSlot: number): void {
    this.#keys.remove(saSlot);
  }

  accept(batch: StampedBatch, epoch: number, senderIds: Uint16Array): void {
    const { slab, offset, length, saSlot, verdict, count } = batch;
    this.#native.stamperAccept(this.#table, slab, offset, length, saSlot, verdict, count, epoch, senderIds);
  }

  stamp(batch: StampedBatch): void {
    const { slab, offset, length, saSlot, verdict, count, sequenceHigh, sequenceLow } = batch;
    this.#native.stamperStamp(
      this.#table,
      slab,
      offset,
      length,
      saSlot,
      verdict,
      count,
      sequenceHigh,
      sequenceLow,
    );
  }
}
