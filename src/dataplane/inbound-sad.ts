import type { IpAddress } from '../packet/address.ts';
import type { SaId, SecurityAssociation } from '../ipsec/sa.ts';
import { SharedAddresses } from '../packet/shared-addresses.ts';
import { Slots } from './slots.ts';
import { SpiTable } from './spi-table.ts';

/** What every inbound SA has on either host. */
export interface InboundEntry {
  readonly slot: number;
  readonly sa: SecurityAssociation;
  /** Outer destination; `InboundSad.receiveAt` changes it. */
  destination: IpAddress;
}

/**
 * Inbound SAs by SPI (RFC 4303 section 2.1: it alone identifies a unicast SA, since we choose it). The outer
 * destination is compared too, so that an SPI never serves an address that it was not negotiated for.
 */
export class InboundSad<Entry extends InboundEntry> {
  readonly #slots = new Slots<Entry>();
  readonly #bySpi = new SpiTable();
  readonly #byId = new Map<SaId, Entry>();
  readonly #destinations = new SharedAddresses();

  /** Throws if the SPI is taken: the plugin hands each out once. */
  add(sa: SecurityAssociation, make: (slot: number) => Entry): Entry {
    if (this.#bySpi.slotOf(sa.spi) >= 0) throw new Error(`SPI ${sa.spi.toString(16)} is in use already`);
    const entry = this.#slots.add(make);
    entry.destination = this.#destinations.of(entry.destination);
    this.#bySpi.add(sa.spi, entry.slot, entry.destination);
    this.#byId.set(sa.id, entry);
    return entry;
  }

  remove(id: SaId): Entry | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    this.#bySpi.remove(entry.sa.spi);
    this.#slots.free(entry.slot);
    return entry;
  }

  /** The peer sends to another address of ours from now on. */
  receiveAt(entry: Entry, destination: IpAddress): void {
    entry.destination = this.#destinations.of(destination);
    this.#bySpi.setDestination(entry.sa.spi, destination);
  }

  /** The slot, or -1. The words of the outer destination begin at `at`. */
  lookup(spi: number, destinations: Uint32Array, at: number): number {
    return this.#bySpi.lookup(spi, destinations, at);
  }

  /** Whatever the outer destination: of a packet that another host of the cluster has opened. */
  bySpi(spi: number): Entry | undefined {
    return this.#slots.at(this.#bySpi.slotOf(spi));
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
