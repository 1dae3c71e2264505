import { KEEP, verdictOf } from '../base/verdict.ts';
import type { StampCrypto, StampedBatch } from './stamp-crypto.ts';
import { Stamper, type StamperOptions } from './stamper.ts';

const CHECK = verdictOf('stamp-check');

/** Stamps with node:crypto, packet by packet. */
export class StampNodeCrypto implements StampCrypto {
  readonly #stampers = new Map<number, Stamper>();

  install(saSlot: number, options: StamperOptions): void {
    const stamper = new Stamper(options);
    this.remove(saSlot);
    this.#stampers.set(saSlot, stamper);
  }

  remove(saSlot: number): void {
    this.#stampers.get(saSlot)?.close();
    this.#stampers.delete(saSlot);
  }

  accept(batch: StampedBatch, epoch: number): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const stamper = this.#stampers.get(batch.saSlot[i] as number);
      batch.verdict[i] = stamper?.accept(batch, i, epoch, batch.senderId[i] as number) ?? CHECK;
    }
  }

  stamp(batch: StampedBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const stamper = this.#stampers.get(batch.saSlot[i] as number);
      const [high, low] = [batch.sequenceHigh[i] as number, batch.sequenceLow[i] as number];
      batch.verdict[i] = stamper?.stamp(batch, i, high, low) ?? CHECK;
    }
  }
}
