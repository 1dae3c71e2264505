import { isDeepStrictEqual } from 'node:util';
import type { DvipaRecord, SaInstallRecord } from '../../coupling/records.ts';
import type { ClusterAddresses } from '../../dataplane/classify.ts';
import type { OuterHeader } from '../../dataplane/encapsulate.ts';
import { InboundSad } from '../../dataplane/inbound-sad.ts';
import type { LeasedPorts } from '../../dataplane/opened-flows.ts';
import { OutboundSad } from '../../dataplane/outbound-sad.ts';
import { CommittedNumbers } from '../../dataplane/replay-reports.ts';
import type { ServedDvipa, ShadowInboundSa } from '../../dataplane/target-inbound.ts';
import type { ShadowOutboundSa } from '../../dataplane/target-outbound.ts';
import type { PacketCrypto } from '../../ipsec/packet-crypto.ts';
import type { NewMasker, PacketCryptos } from '../../ipsec/packet-cryptos.ts';
import { GroupOverlaps } from '../../ipsec/group-overlaps.ts';
import { NumberingHolder } from '../../ipsec/numbering-holder.ts';
import type { PathLimits } from '../../ipsec/path-fit.ts';
import { KeptSas } from '../../ipsec/kept-sas.ts';
import { PathMtus } from '../../ipsec/path-mtus.ts';
import { EMPTY_SNAPSHOT, mergeSnapshots } from '../../ipsec/replay-snapshot.ts';
import type { LifesizeCredit, LifesizeMeter } from '../../ipsec/lifesize-meter.ts';
import { ReplayWindow } from '../../ipsec/replay-window.ts';
import {
  type OuterAddresses,
  type OutboundPolicy,
  type SaId,
  type SecurityAssociation,
  wipeKeys,
} from '../../ipsec/sa.ts';
import { IvCounters } from '../../ipsec/sender-ids.ts';
import type { StampKeys } from '../../ipsec/stamp-mask.ts';
import { TunnelCheck } from '../../ipsec/tunnel-check.ts';
import { AddressMap, AddressSet } from '../../packet/address-map.ts';
import { SharedAddresses } from '../../packet/shared-addresses.ts';
import { inboundFilterOf } from '../inbound-filter.ts';
import {
  addressOf,
  algorithmRefusal,
  icvBytesOf,
  meterOf,
  outerAddressesOf,
  outerHeaderOf,
  pathFitOf,
} from '../sa-settings.ts';

/** What a target's window holds beyond the SA's own: the numbers of one report round trip (docs/inbound.md). */
const REPORT_ROUND_TRIP_PACKETS = 4096;
/** An SA that was removed comes again within a session's time, or never. */
const KEPT_METERS = 4096;

/** A DVIPA that the routing host gave this target, mutable where its settings may change. */
interface CachedDvipa extends ServedDvipa {
  readonly record: DvipaRecord;
}

/**
 * The shadow cache (claim 11): the SAs, policies and DVIPAs that the routing host gave this target. It owns
 * their keys and wipes them when they go. An SA that comes again (a new snapshot) keeps its window, its
 * numbers and its counter: only what the routing host knows better is added.
 */
export class ShadowCache {
  readonly inbound = new InboundSad<ShadowInboundSa>();
  readonly outbound = new OutboundSad<ShadowOutboundSa>();
  /** Groups of SAs whose peers look alike. */
  readonly overlaps = new GroupOverlaps();
  /** Inbound and outbound slots are numbered apart, so each direction has its own contexts. */
  readonly opening: PacketCrypto;
  readonly sealing: PacketCrypto;
  readonly #newMasker: NewMasker;
  /** Outlives the SAs: one that comes again goes on where it was. */
  readonly #ivs = new IvCounters();
  readonly #stampKeys = new Map<ShadowOutboundSa, StampKeys>();
  readonly #dvipas = new Map<string, CachedDvipa>();
  #configured: ReadonlySet<string>;
  readonly #kept = new KeptSas();
  readonly #paths: PathMtus;
  readonly #sources = new SharedAddresses();
  readonly #endpoints = new AddressSet();
  readonly #served = new AddressSet();
  /** Settings by address, for packets that name no SA. */
  readonly served = new AddressMap<ServedDvipa>();

  /** Of SAs that were removed: one that comes again goes on counting, or its credit would be had twice. */
  readonly #meters = new Map<SaId, LifesizeMeter>();

  /** `configured`: the DVIPAs that this host's own configuration names; others are refused. */
  constructor(configured: readonly string[], limits: PathLimits, cryptos: PacketCryptos) {
    this.opening = cryptos.newCrypto();
    this.sealing = cryptos.newCrypto();
    this.#newMasker = cryptos.newMaskers();
    this.#configured = new Set(configured);
    this.#paths = new PathMtus(limits);
  }

  /** Other DVIPAs of this host's own configuration, from the next settings that come. */
  configure(dvipas: readonly string[]): void {
    this.#configured = new Set(dvipas);
  }

  get addresses(): ClusterAddresses {
    return { endpoints: this.#endpoints, dvipas: this.#served };
  }

  get dvipas(): readonly DvipaRecord[] {
    return [...this.#dvipas.values()].map(({ record }) => record);
  }

  serves(dvipa: string): boolean {
    return this.#dvipas.has(dvipa);
  }

  /** The same with what they were compiled to. */
  get services(): Iterable<Readonly<CachedDvipa>> {
    return this.#dvipas.values();
  }

  /** False: this host is not configured to serve it. */
  setDvipa(record: DvipaRecord): boolean {
    if (!this.#configured.has(record.address)) return false;
    const address = addressOf(record.address);
    const known = this.#dvipas.get(record.address);
    // Rules that come again (a new session) keep what they have counted.
    const isKnown = known !== undefined && isDeepStrictEqual(known.record.rules, record.rules);
    const filter = isKnown ? known.filter : inboundFilterOf(record.rules);
    const distributesClear = record.clearText === 'distribute';
    const { filterMode, returnVia } = record;
    const sourcePorts = leasedPortsOf(record);
    const settings = {
      record,
      address,
      filterMode,
      filter,
      distributesClear,
      returnVia,
      sourcePorts,
    };
    // Entries point at the object: changed settings count for running SAs too.
    if (known === undefined) this.#dvipas.set(record.address, settings);
    else Object.assign(known, settings);
    this.#refreshAddresses();
    return true;
  }

  removeDvipa(address: string): void {
    this.#dvipas.delete(address);
    this.#refreshAddresses();
  }

  /** Installs, or refreshes what is there. Returns why not, if not; then nothing is installed and the keys are wiped. */
  install(given: SaInstallRecord, epoch: number): string | undefined {
    const record = { ...given, sa: this.#kept.keep(given.sa, this.overlaps.relativeOf(given.sa)) };
    const { sa, stamping } = record;
    try {
      const reason = this.#refusal(sa);
      if (reason === undefined) {
        if (sa.direction === 'in') this.#installInbound(record);
        else this.#installOutbound(record, epoch);
        this.overlaps.add(sa);
        return undefined;
      }
      wipeKeys(sa);
      wipeStampKeys(stamping);
      return reason;
    } catch (error) {
      wipeKeys(sa);
      wipeStampKeys(stamping);
      return error instanceof Error ? error.message : 'failed';
    }
  }

  /** Adds a policy, or replaces the one of the same key: the switch to another SA. */
  installPolicy(policy: OutboundPolicy): void {
    const sa = policy.spi === undefined ? undefined : this.outbound.find(policy.group, policy.spi)?.sa;
    this.outbound.installPolicy(this.#kept.policy(policy, sa?.destinationSelectors));
  }

  /** The peer has moved, and charon knows. */
  update(id: SaId, outer: OuterAddresses, hasUdpEncapsulation: boolean): void {
    const outbound = this.outbound.get(id);
    if (outbound !== undefined) this.#sendTo(outbound, outer, hasUdpEncapsulation);
    const inbound = this.inbound.get(id);
    if (inbound !== undefined) this.#receiveFrom(inbound, outer, hasUdpEncapsulation);
    const entry = outbound ?? inbound;
    if (entry !== undefined) this.overlaps.update(entry.sa);
  }

  /** Removes the SA and wipes its keys; the outbound entry is returned, since packets may wait for it. */
  remove(id: SaId): ShadowOutboundSa | undefined {
    this.overlaps.remove(id);
    this.#keepMeter(id);
    const inbound = this.inbound.remove(id);
    if (inbound !== undefined) {
      this.opening.remove(inbound.slot);
      wipeKeys(inbound.sa);
    }
    const outbound = this.outbound.remove(id);
    if (outbound !== undefined) {
      this.sealing.remove(outbound.slot);
      this.#dropStamp(outbound);
      wipeKeys(outbound.sa);
    }
    return outbound;
  }

  clear(): void {
    for (const entry of [...this.inbound.values(), ...this.outbound.values()]) this.remove(entry.sa.id);
    for (const { key } of this.outbound.policies()) this.outbound.removePolicy(key);
  }

  #refusal(sa: SecurityAssociation): string | undefined {
    if (!this.#dvipas.has(sa.dvipa)) return 'dvipa-not-served';
    return algorithmRefusal(sa);
  }

  #installInbound({ sa, window, isWindowComplete = false, credit }: SaInstallRecord): void {
    const known = this.inbound.get(sa.id);
    if (known !== undefined) {
      wipeKeys(sa);
      const merged = mergeSnapshots(known.window.snapshot(), window ?? EMPTY_SNAPSHOT);
      known.window.restore(merged);
      known.isWindowComplete ||= isWindowComplete;
      this.#receiveFrom(known, sa.outer, sa.hasUdpEncapsulation);
      this.overlaps.update(known.sa);
      known.meter.granted(credit);
      return;
    }
    const own = new ReplayWindow(sa.replayWindowPackets + REPORT_ROUND_TRIP_PACKETS);
    if (window !== undefined) own.restore(window);
    const { source, destination } = outerAddressesOf(sa);
    const entry = this.inbound.add(sa, (slot) => ({
      slot,
      sa,
      destination,
      window: own,
      isWindowComplete,
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: this.#dvipas.get(sa.dvipa) as CachedDvipa,
      meter: this.#meterOf(sa, credit),
      committed: new CommittedNumbers(sa.id),
      wrongIcvs: 0,
      fit: pathFitOf(sa, this.#paths),
      peerAddress: source,
      peerPort: sa.outer.sourcePort,
    }));
    this.opening.install(entry.slot, sa);
  }

  #receiveFrom(entry: ShadowInboundSa, outer: OuterAddresses, hasUdpEncapsulation: boolean): void {
    const sa = { ...entry.sa, outer, hasUdpEncapsulation };
    const { source, destination } = outerAddressesOf(sa);
    entry.peerAddress = source;
    entry.peerPort = outer.sourcePort;
    this.inbound.receiveAt(entry, destination);
    Object.assign(entry, { sa, fit: pathFitOf(sa, this.#paths) });
  }

  #installOutbound({ sa, senderId, stamping, credit }: SaInstallRecord, epoch: number): void {
    const known = this.outbound.get(sa.id);
    if (known !== undefined) {
      wipeKeys(sa);
      known.meter.granted(credit);
      this.#sendTo(known, sa.outer, sa.hasUdpEncapsulation);
      this.overlaps.update(known.sa);
      // Another id is another IV space; with the same id the counter must go on.
      if (senderId !== undefined) known.iv = this.#ivs.get(sa.id, senderId);
      this.#setStamp(known, stamping, epoch);
      return;
    }
    const entry = this.outbound.add(sa, (slot) => ({
      slot,
      sa,
      outer: this.#outerOf(sa),
      fit: pathFitOf(sa, this.#paths),
      holder: new NumberingHolder(),
      dvipa: this.#dvipas.get(sa.dvipa) as CachedDvipa,
      iv: senderId === undefined ? undefined : this.#ivs.get(sa.id, senderId),
      stamp: undefined,
      lastStamped: 0,
      meter: this.#meterOf(sa, credit),
    }));
    this.sealing.install(entry.slot, sa);
    this.#setStamp(entry, stamping, epoch);
  }

  #sendTo(entry: ShadowOutboundSa, outer: OuterAddresses, hasUdpEncapsulation: boolean): void {
    const sa = { ...entry.sa, outer, hasUdpEncapsulation };
    Object.assign(entry, { sa, outer: this.#outerOf(sa), fit: pathFitOf(sa, this.#paths) });
  }

  #outerOf(sa: SecurityAssociation): OuterHeader {
    const header = outerHeaderOf(sa);
    return { ...header, source: this.#sources.of(header.source) };
  }

  /** Of one life of the routing host; the same keys may come again. */
  #setStamp(entry: ShadowOutboundSa, keys: StampKeys | undefined, epoch: number): void {
    if (keys !== undefined && entry.stamp?.epoch === epoch) {
      wipeStampKeys(keys);
      return;
    }
    this.#dropStamp(entry);
    if (keys === undefined) return;
    const { group } = entry.sa;
    this.#stampKeys.set(entry, keys);
    entry.stamp = this.#newMasker(entry.slot, { ...keys, epoch, group, icvBytes: icvBytesOf(entry.sa) });
  }

  #dropStamp(entry: ShadowOutboundSa): void {
    entry.stamp?.close();
    entry.stamp = undefined;
    wipeStampKeys(this.#stampKeys.get(entry));
    this.#stampKeys.delete(entry);
  }

  #keepMeter(id: SaId): void {
    const meter = (this.inbound.get(id) ?? this.outbound.get(id))?.meter;
    if (meter === undefined || meter.packets === 0) return;
    this.#meters.set(id, meter);
    for (const oldest of this.#meters.keys()) {
      if (this.#meters.size <= KEPT_METERS) break;
      this.#meters.delete(oldest);
    }
  }

  #meterOf(sa: SecurityAssociation, credit: LifesizeCredit): LifesizeMeter {
    const kept = this.#meters.get(sa.id);
    if (kept === undefined) return meterOf(sa, credit);
    this.#meters.delete(sa.id);
    kept.granted(credit);
    return kept;
  }

  #refreshAddresses(): void {
    this.#endpoints.clear();
    this.#served.clear();
    this.served.clear();
    for (const dvipa of this.#dvipas.values()) {
      const { record, address } = dvipa;
      this.#served.add(address);
      this.served.set(address, dvipa);
      for (const endpoint of record.endpoints) this.#endpoints.add(addressOf(endpoint));
    }
  }
}

function leasedPortsOf({ sourcePorts }: DvipaRecord): LeasedPorts | undefined {
  if (sourcePorts === undefined) return undefined;
  const { from, to, leased } = sourcePorts;
  return { all: { from, to }, own: leased };
}

function wipeStampKeys(keys: StampKeys | undefined): void {
  keys?.link.wipe();
  keys?.check.wipe();
}
