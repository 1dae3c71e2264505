import { randomBytes } from 'node:crypto';
import { TargetSet } from '../../connections/target-set.ts';
import { InboundOwners } from '../../ipsec/inbound-owners.ts';
import { InboundSad } from '../../dataplane/inbound-sad.ts';
import { OutboundSad } from '../../dataplane/outbound-sad.ts';
import type { OpenedHereSa } from '../../dataplane/opening-inbound.ts';
import type { StampedSa } from '../../dataplane/stamping.ts';
import type { RoutingOutboundSa } from '../../dataplane/funnel.ts';
import type { PacketCrypto } from '../../ipsec/packet-crypto.ts';
import type { PacketCryptos } from '../../ipsec/packet-cryptos.ts';
import { GivenTraffic } from '../../ipsec/given-traffic.ts';
import { GroupOverlaps } from '../../ipsec/group-overlaps.ts';
import { IcvSuspicion } from '../../ipsec/icv-suspicion.ts';
import type { LifesizeMeter } from '../../ipsec/lifesize-meter.ts';
import { LifesizeOwner, type LifesizeOwnerOptions } from '../../ipsec/lifesize-owner.ts';
import { NumberingOwner } from '../../ipsec/numbering-owner.ts';
import type { NumberingOwnerOptions } from '../../ipsec/numbering-actions.ts';
import { Peeker } from '../../ipsec/peek.ts';
import type { PathLimits } from '../../ipsec/path-fit.ts';
import { PathMtus } from '../../ipsec/path-mtus.ts';
import { type SaId, type SecurityAssociation, wipeKeys } from '../../ipsec/sa.ts';
import { STAMP_KEY_BYTES, type StampKeys } from '../../ipsec/stamp-mask.ts';
import type { StampCrypto } from '../../ipsec/stamp-crypto.ts';
import { canStamp } from '../../ipsec/stamper.ts';
import { RingPool } from '../../ipsec/unsettled-ring.ts';
import { TunnelCheck } from '../../ipsec/tunnel-check.ts';
import { drawKey } from '../draw-key.ts';
import { algorithmRefusal, meterOf, outerAddressesOf, outerHeaderOf, pathFitOf } from '../sa-settings.ts';
import type { AskedRekey, RekeyCause } from './rekey-book.ts';
import type { DvipaService } from './dvipa-service.ts';
import { WayHistory } from './way-history.ts';

interface Common {
  /** The plugin's number of the SA. */
  readonly pluginId: string;
  readonly service: DvipaService;
  readonly lifesize: LifesizeOwner;
  /** When charon made it, in this host's time. */
  readonly createdAt: number;
  /** A rekey was asked for and has not finished. */
  isRekeying: boolean;
  /** How its refresh came out is in the history of its configuration (`LifesizeLearning`). */
  isJudged: boolean;
  /** What for, since when and how often. */
  readonly rekeys: Map<RekeyCause, AskedRekey>;
  /** charon was told that a target serves it. */
  isAcknowledged: boolean;
  /** Why a target does not serve it, by host. */
  readonly refusals: Map<string, string>;
  /** A younger SA has taken over: inbound, it is there; outbound, charon switched to it. This one is served until charon deletes it. */
  isReplaced: boolean;
}

export interface InboundSa extends OpenedHereSa, Common {
  /**
   * Whether this host opens packets for targets that do not serve the SA: only after the store has a mark of it (`storing`),
   * since the windows of such targets cannot tell a next life of this agent what was delivered.
   */
  fallback: 'off' | 'storing' | 'ready';
  /** This host's use of the lifesize, once it has opened a packet. */
  meter: LifesizeMeter | undefined;
  readonly addedAt: number;
  /** Targets whose windows are missing after a restart of this agent. */
  readonly awaiting: Set<string>;
  /** Of targets that told a window of it in their present session: whether that is complete. */
  readonly returned: Map<string, boolean>;
}

export interface OutboundSa extends RoutingOutboundSa, StampedSa, Common {
  /** What its targets mask with, for this host to stamp; undefined: they send through the funnel. */
  readonly stampKeys: StampKeys | undefined;
  readonly installedOn: Set<string>;
  readonly ways: WayHistory;
}

export type AnySa = InboundSa | OutboundSa;

export interface NewSa {
  readonly sa: SecurityAssociation;
  readonly pluginId: string;
  readonly service: DvipaService;
  /** Another life of this agent may have used it: marks and windows must be gathered first. */
  readonly numbering: Omit<NumberingOwnerOptions, 'hasEsn' | 'sharedWay' | 'allowsExclusive'>;
  readonly lifesize: Omit<LifesizeOwnerOptions, 'lifetime' | 'now' | 'isRestored'>;
  readonly createdAt: number;
  readonly now: number;
}

/** This host's name as one more user of an SA's lifesize: what the funnel seals. */
export const FUNNEL_USER = '(funnel)';

const NONE: ReadonlySet<AnySa> = new Set();

/**
 * The routing host's SAs. It owns their keys and wipes them. Inbound ones are installed for the peek,
 * outbound ones for the funnel.
 */
export class RoutingSas {
  readonly inbound = new InboundSad<InboundSa>();
  readonly outbound = new OutboundSad<OutboundSa>();
  readonly overlaps = new GroupOverlaps();
  readonly peeker: Peeker;
  /** With the outbound SAs that are stamped. */
  readonly stamps: StampCrypto;
  readonly sealing: PacketCrypto;
  /** For inbound packets that this host must open itself. */
  readonly opening: PacketCrypto;
  readonly rings = new RingPool();
  readonly paths: PathMtus;
  /** By SA group: a rekey, and each flow that a target reports, asks for the others of its group. */
  readonly #groups = new Map<number, Set<AnySa>>();
  /** This life of the agent as a user of lifesize: another one for sure, whatever became of its epoch. */
  readonly #incarnation = randomBytes(8).readBigUInt64BE();

  /** Of SAs that come now: whether several targets may be stamped, where the algorithm allows. */
  allowsStamping: boolean;

  constructor(limits: PathLimits, allowsStamping: boolean, cryptos: PacketCryptos) {
    this.peeker = new Peeker(cryptos.newPeekCipher());
    this.stamps = cryptos.newStampCrypto();
    this.sealing = cryptos.newCrypto();
    this.opening = cryptos.newCrypto();
    this.paths = new PathMtus(limits);
    this.allowsStamping = allowsStamping;
  }

  /** Throws if the data plane cannot serve the SA: nothing is installed then, the keys are wiped. */
  add(given: NewSa): AnySa {
    const { sa } = given;
    try {
      const reason = algorithmRefusal(sa);
      if (reason !== undefined) throw new Error(reason);
      const entry = sa.direction === 'in' ? this.#addInbound(given) : this.#addOutbound(given);
      this.overlaps.add(sa);
      const group = this.#groups.get(sa.group);
      if (group === undefined) this.#groups.set(sa.group, new Set([entry]));
      else group.add(entry);
      return entry;
    } catch (error) {
      wipeKeys(sa);
      throw error;
    }
  }

  get(id: SaId): AnySa | undefined {
    return this.inbound.get(id) ?? this.outbound.get(id);
  }

  /** Removes it and wipes its keys. */
  remove(id: SaId): AnySa | undefined {
    const inbound = this.inbound.remove(id);
    const outbound = this.outbound.remove(id);
    if (inbound !== undefined) {
      this.peeker.remove(inbound.slot);
      this.opening.remove(inbound.slot);
      inbound.owners.close();
    }
    if (outbound !== undefined) {
      this.sealing.remove(outbound.slot);
      this.stamps.remove(outbound.slot);
      outbound.stampKeys?.link.wipe();
      outbound.stampKeys?.check.wipe();
    }
    const entry = inbound ?? outbound;
    if (entry === undefined) return undefined;
    wipeKeys(entry.sa);
    this.overlaps.remove(id);
    const { group: number } = entry.sa;
    const group = this.#groups.get(number);
    group?.delete(entry);
    if (group?.size === 0) this.#groups.delete(number);
    return entry;
  }

  /** SAs of one group, both directions, the oldest first; empty: the group is gone. */
  group(number: number): ReadonlySet<AnySa> {
    return this.#groups.get(number) ?? NONE;
  }

  /** The account of what this host opens itself: most SAs never have one. */
  openingMeter(entry: InboundSa, now: number): LifesizeMeter {
    if (entry.meter !== undefined) return entry.meter;
    entry.lifesize.targetReady(FUNNEL_USER, this.#incarnation, now);
    entry.meter = meterOf(entry.sa, entry.lifesize.creditOf(FUNNEL_USER));
    return entry.meter;
  }

  *all(): IterableIterator<AnySa> {
    yield* this.inbound.values();
    yield* this.outbound.values();
  }

  clear(): void {
    for (const { sa } of this.all()) this.remove(sa.id);
    for (const { key } of this.outbound.policies()) this.outbound.removePolicy(key);
  }

  #addInbound(given: NewSa): InboundSa {
    const { sa, service, pluginId } = given;
    const { destination } = outerAddressesOf(sa);
    const entry = this.inbound.add(sa, (slot) => ({
      slot,
      sa,
      pluginId,
      service,
      destination,
      owners: new InboundOwners(sa.replayWindowPackets, this.rings),
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: service,
      serving: new TargetSet(),
      isWaitingForWindows: false,
      awaiting: new Set(),
      returned: new Map(),
      fallback: 'off',
      get isFallbackReady() {
        return this.fallback === 'ready';
      },
      suspicion: new IcvSuspicion(),
      given: new GivenTraffic(isRestored(given)),
      openedHere: 0,
      meter: undefined,
      addedAt: given.now,
      ...commonOf(given),
      lifesize: lifesizeOf(given),
    }));
    this.peeker.install(entry.slot, sa);
    this.opening.install(entry.slot, sa);
    // With a hard limit this host cannot open a packet before its credit is stored, and then it is too late for the packet.
    if (hasHardLimit(sa)) this.openingMeter(entry, given.now);
    return entry;
  }

  #addOutbound(given: NewSa): OutboundSa {
    const { sa, service, pluginId } = given;
    const lifesize = lifesizeOf(given);
    lifesize.targetReady(FUNNEL_USER, this.#incarnation, given.now);
    const isStamped = this.allowsStamping && canStamp(sa);
    const stampKeys = isStamped
      ? { link: drawKey(STAMP_KEY_BYTES), check: drawKey(STAMP_KEY_BYTES) }
      : undefined;
    const { epoch } = given.numbering;
    const entry = this.outbound.add(sa, (slot) => ({
      slot,
      sa,
      pluginId,
      service,
      outer: outerHeaderOf(sa),
      fit: pathFitOf(sa, this.paths),
      numbering: new NumberingOwner({
        ...given.numbering,
        hasEsn: sa.hasEsn,
        sharedWay: isStamped ? 'stamping' : 'funnel',
        allowsExclusive: service.returnVia === 'direct',
      }),
      stampKeys,
      isStamped,
      meter: meterOf(sa, lifesize.creditOf(FUNNEL_USER)),
      lifesize,
      installedOn: new Set(),
      ways: new WayHistory(),
      ...commonOf(given),
    }));
    this.sealing.install(entry.slot, sa);
    if (stampKeys !== undefined) this.stamps.install(entry.slot, { sa, epoch, ...stampKeys });
    return entry;
  }
}

function commonOf({ createdAt }: NewSa) {
  return {
    createdAt,
    refusals: new Map<string, string>(),
    rekeys: new Map<RekeyCause, AskedRekey>(),
    isJudged: false,
    isReplaced: false,
    isRekeying: false,
    isAcknowledged: false,
  };
}

function lifesizeOf(given: NewSa): LifesizeOwner {
  const { sa, lifesize, now } = given;
  return new LifesizeOwner({ ...lifesize, lifetime: sa.lifetime, now, isRestored: isRestored(given) });
}

function hasHardLimit({ lifetime }: SecurityAssociation): boolean {
  return lifetime.bytes.hard > 0 || lifetime.packets.hard > 0;
}

/** It is older than this life of the agent. */
function isRestored({ numbering }: NewSa): boolean {
  return numbering.origin === 'restored';
}
