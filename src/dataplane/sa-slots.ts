/**
 * SAs by slot: a small integer that packets carry in `saSlot` and under which keys are installed.
 * Looked up by SPI and outer destination (RFC 4303 section 2.1: SPI alone identifies an inbound unicast
 * SA; the destination is compared too, so that an SPI never serves an address that it was not negotiated for).
 */
export class SaSlots<Entry extends { readonly spi: number; readonly destination: number }> {
  readonly #entries: (Entry | undefined)[] = [];
  readonly #slotBySpi = new Map<number, number>();
  readonly #free: number[] = [];

  /** Adds what `make` builds for the new slot. Throws if the SPI is taken: the plugin hands each out once. */
  add(spi: number, make: (slot: number) => Entry): Entry {
    if (this.#slotBySpi.has(spi)) throw new Error(`SPI ${spi.toString(16)} is in use already`);
    const slot = this.#free.pop() ?? this.#entries.length;
    const entry = make(slot);
    this.#entries[slot] = entry;
    this.#slotBySpi.set(spi, slot);
    return entry;
  }

  remove(slot: number): Entry | undefined {
    const entry = this.#entries[slot];
    if (entry === undefined) return undefined;
    this.#entries[slot] = undefined;
    this.#slotBySpi.delete(entry.spi);
    this.#free.push(slot);
    return entry;
  }

  /** The slot, or -1. `destination` is an IPv4 address as host number. */
  lookup(spi: number, destination: number): number {
    const slot = this.#slotBySpi.get(spi);
    return slot !== undefined && this.#entries[slot]?.destination === destination ? slot : -1;
  }

  /** The slot of an SPI whatever its destination, or -1. */
  slotOf(spi: number): number {
    return this.#slotBySpi.get(spi) ?? -1;
  }

  at(slot: number): Entry | undefined {
    return this.#entries[slot];
  }

  *values(): IterableIterator<Entry> {
    for (const entry of this.#entries) if (entry !== undefined) yield entry;
  }

  get size(): number {
    return this.#slotBySpi.size;
  }
}
