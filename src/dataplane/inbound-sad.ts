import { equalAddresses, type IpAddress } from '../packet/address.ts';
import type { SaId, SecurityAssociation } from '../ipsec/sa.ts';
import { Slots } from './slots.ts';

/** What every inbound SA has on either host. */
export interface InboundEntry {
  readonly slot: number;
  readonly sa: SecurityAssociation;
  /** Outer destination. */
  readonly destination: IpAddress;
}

/**
 * Inbound SAs by SPI (RFC 4303 section 2.1: it alone identifies a unicast SA, since we choose it). The outer
 * destination is compared too, so that an SPI never serves an address that it was not negotiated for.
 */
export class InboundSad<Entry extends InboundEntry> {
  readonly #slots = new Slots<Entry>();
  readonly #bySpi = new Map<number, Entry>();
  readonly #byId = new Map<SaId, Entry>();

  /** Throws if the SPI is taken: the plugin hands each out once. */
  add(sa: SecurityAssociation, make: (slot: number) => Entry): Entry {
    if (this.#bySpi.has(sa.spi)) throw new Error(`SPI ${sa.spi.toString(16)} is in use already`);
    const entry = this.#slots.add(make);
    this.#bySpi.set(sa.spi, entry);
    this.#byId.set(sa.id, entry);
    return entry;
  }

  remove(id: SaId): Entry | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    this.#bySpi.delete(entry.sa.spi);
    this.#slots.free(entry.slot);
    return entry;
  }

  /** The slot, or -1. The words of the outer destination begin at `at`. */
  lookup(spi: number, destinations: Uint32Array, at: number): number {
    const entry = this.#bySpi.get(spi);
    return entry !== undefined && equalAddresses(entry.destination, 0, destinations, at) ? entry.slot : -1;
  }

  /** Whatever the outer destination: of a packet that another host of the cluster has opened. */
  bySpi(spi: number): Entry | undefined {
    return this.#bySpi.get(spi);
  }

  get(id: SaId): Entry | undefined {
    return this.#byId.get(id);
  }

  at(slot: number): Entry | undefined {
    return this.#slots.at(slot);
  }

  values(): IterableIterator<Entry> {
    return this.#slots.values();
  }

  get size(): number {
    return this.#slots.size;
  }
}
