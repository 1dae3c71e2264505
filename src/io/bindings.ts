/**
 * What an addon made of the arrays of each batch (plugins/node/packet-crypto/bound.h), so that they are told once and not with each call:
 * to ask for nine arrays takes longer than to stamp ten packets.
 */
export class Bindings<Batch extends object, Bound> {
  readonly #bound = new WeakMap<Batch, { readonly array: Uint8Array; readonly bound: Bound }>();

  /** `array`: one that is another than before when any of the arrays is. */
  known(batch: Batch, array: Uint8Array): Bound | undefined {
    const known = this.#bound.get(batch);
    return known?.array === array ? known.bound : undefined;
  }

  /** From now on, and as long as the batch is there. */
  keep(batch: Batch, array: Uint8Array, bound: Bound): Bound {
    this.#bound.set(batch, { array, bound });
    return bound;
  }
}
