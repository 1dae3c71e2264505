import type { InnerColumns } from '../ipsec/inner-columns.ts';
import { type Conversation, Spd } from '../ipsec/spd.ts';
import { SpdCoverage } from '../ipsec/spd-coverage.ts';
import type { OutboundPolicy, SaId, SecurityAssociation, Spi } from '../ipsec/sa.ts';
import { Slots } from './slots.ts';

export interface OutboundEntry {
  readonly slot: number;
  readonly sa: SecurityAssociation;
}

/**
 * Outbound SAs and the policies that say which one is in use. A policy names its SA by SPI and group; either
 * may come first. Only the policy switches: a new SA is not used before charon says so (`add_policy out`).
 */
export class OutboundSad<Entry extends OutboundEntry> {
  readonly #slots = new Slots<Entry>();
  readonly #byId = new Map<SaId, Entry>();
  /** A group has few SAs, whatever peers do: another SA of it is a rekey. */
  readonly #byGroup = new Map<number, readonly Entry[]>();
  /** Peers choose outbound SPIs, so two may be equal; within one SA group they are not. */
  readonly #bySpi = new Map<Spi, readonly Entry[]>();
  readonly #spd = new Spd();
  readonly #coverage = new SpdCoverage(this.#spd);
  /** Answers of `saOf`, so that a packet costs one look-up; emptied by every change. */
  readonly #current = new Map<OutboundPolicy, Entry>();

  add(sa: SecurityAssociation, make: (slot: number) => Entry): Entry {
    if (this.find(sa.group, sa.spi) !== undefined)
      throw new Error(`outbound SPI ${sa.spi.toString(16)} is in use already`);
    const entry = this.#slots.add(make);
    this.#byId.set(sa.id, entry);
    const alone = [entry]; // as it is nearly always, in both
    include(this.#byGroup, sa.group, alone);
    include(this.#bySpi, sa.spi, alone);
    this.#current.clear();
    return entry;
  }

  remove(id: SaId): Entry | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    exclude(this.#byGroup, entry.sa.group, entry);
    exclude(this.#bySpi, entry.sa.spi, entry);
    this.#slots.free(entry.slot);
    this.#current.clear();
    return entry;
  }

  installPolicy(policy: OutboundPolicy): void {
    this.#spd.install(policy);
    this.#current.clear();
  }

  removePolicy(key: string): OutboundPolicy | undefined {
    this.#current.clear();
    return this.#spd.remove(key);
  }

  policy(key: string): OutboundPolicy | undefined {
    return this.#spd.get(key);
  }

  policies(): OutboundPolicy[] {
    return this.#spd.policies();
  }

  /** The policy for inner packet `i`, whose headers were read; undefined: `no-policy`. */
  policyFor(inner: InnerColumns, i: number): OutboundPolicy | undefined {
    return this.#spd.lookup(inner, i);
  }

  /** The same among the policies of one SA group: where peers look alike. */
  policyOfGroup(inner: InnerColumns, i: number, group: number): OutboundPolicy | undefined {
    return this.#spd.lookupGroup(inner, i, group);
  }

  /** Whether a policy is about packets between these two, which then may not be in clear, whichever way they go. */
  covers(conversation: Conversation): boolean {
    return this.#coverage.covers(conversation);
  }

  /** The SA that a policy uses now; undefined: `no-sa`. */
  saOf(policy: OutboundPolicy): Entry | undefined {
    if (policy.spi === undefined) return undefined;
    let entry = this.#current.get(policy);
    if (entry === undefined) {
      entry = this.find(policy.group, policy.spi);
      if (entry !== undefined) this.#current.set(policy, entry);
    }
    return entry;
  }

  /** By what a packet of it can say of itself. */
  find(group: number, spi: number): Entry | undefined {
    for (const entry of this.#byGroup.get(group) ?? []) if (entry.sa.spi === spi) return entry;
    return undefined;
  }

  get(id: SaId): Entry | undefined {
    return this.#byId.get(id);
  }

  /** Those with this SPI, of whatever peers; none: undefined. */
  withSpi(spi: number): readonly Entry[] | undefined {
    return this.#bySpi.get(spi as Spi);
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

function include<Key, Entry>(entries: Map<Key, readonly Entry[]>, key: Key, more: readonly Entry[]): void {
  const there = entries.get(key);
  entries.set(key, there === undefined ? more : [...there, ...more]);
}

function exclude<Key, Entry>(entries: Map<Key, readonly Entry[]>, key: Key, entry: Entry): void {
  const others = entries.get(key)?.filter((other) => other !== entry) ?? [];
  if (others.length > 0) entries.set(key, others);
  else entries.delete(key);
}
