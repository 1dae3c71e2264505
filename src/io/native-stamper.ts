import { verdictOf } from '../base/verdict.ts';
import type { StampCrypto, StampedBatch } from '../ipsec/stamp-crypto.ts';
import { stampedSuite, type StamperOptions } from '../ipsec/stamper.ts';
import { Bindings } from './bindings.ts';
import { nativeCrypto } from './native-crypto.ts';
import type { NativeStamped, NativeStamperTable } from './native-stamp-tables.ts';
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
  readonly #bindings = new Bindings<StampedBatch, NativeStamped>();
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

  accept(batch: StampedBatch, epoch: number): void {
    const bound = this.#bindings.known(batch, batch.slab) ?? this.#bind(batch);
    this.#native.stamperAccept(bound, batch.count, epoch);
  }

  stamp(batch: StampedBatch): void {
    const bound = this.#bindings.known(batch, batch.slab) ?? this.#bind(batch);
    this.#native.stamperStamp(bound, batch.count);
  }

  #bind(batch: StampedBatch): NativeStamped {
    const { slab, offset, length, saSlot, verdict, sequenceHigh, sequenceLow, senderId } = batch;
    const bound = this.#native.stamperBind(
      this.#table,
      slab,
      offset,
      length,
      saSlot,
      verdict,
      sequenceHigh,
      sequenceLow,
      senderId,
    );
    return this.#bindings.keep(batch, slab, bound);
  }
}
