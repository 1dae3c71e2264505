import { DropCounters } from '../../../src/base/verdict.ts';
import { KeyedHash } from '../../../src/connections/connection-key.ts';
import { Distributor } from '../../../src/connections/distributor.ts';
import { OuterSources } from '../../../src/connections/outer-sources.ts';
import { FragmentMemory } from '../../../src/dataplane/fragment-memory.ts';
import { InboundFilter } from '../../../src/dataplane/inbound-filter.ts';
import { InboundSad } from '../../../src/dataplane/inbound-sad.ts';
import { type OpenedHereSa, OpeningInbound } from '../../../src/dataplane/opening-inbound.ts';
import { RoutingInbound } from '../../../src/dataplane/routing-inbound.ts';
import { SealedSender } from '../../../src/dataplane/sealed-sender.ts';
import { TargetChoice } from '../../../src/dataplane/target-choice.ts';
import { PacketVector } from '../../../src/dataplane/vector.ts';
import { GivenTraffic } from '../../../src/ipsec/given-traffic.ts';
import { IcvSuspicion } from '../../../src/ipsec/icv-suspicion.ts';
import { InboundOwners } from '../../../src/ipsec/inbound-owners.ts';
import { LifesizeMeter } from '../../../src/ipsec/lifesize-meter.ts';
import type { LinkSealer } from '../../../src/ipsec/link-seal.ts';
import { Peeker } from '../../../src/ipsec/peek.ts';
import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import { TunnelCheck } from '../../../src/ipsec/tunnel-check.ts';
import { RingPool } from '../../../src/ipsec/unsettled-ring.ts';
import { VerificationBudget } from '../../../src/ipsec/verification-budget.ts';
import { AddressSet } from '../../../src/packet/address-map.ts';
import { addr, DVIPA, ENDPOINT } from '../../support/inner-packets.ts';
import type { Settings } from './settings.ts';
import { SimCrypto } from './sim-esp.ts';
import { type OnLink, SimLink } from './sim-link.ts';

const UNLIMITED = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };
const SEED = Buffer.alloc(8, 7);
const VECTOR_PACKETS = 16;

/** An inbound SA of the routing host, with what its agent keeps beside it. */
export interface RouterSa extends OpenedHereSa {
  fallback: 'off' | 'storing' | 'ready';
  readonly meter: LifesizeMeter;
  readonly addedAt: number;
  /** Targets whose windows are missing; -1: one that is dead. */
  readonly awaiting: Set<number>;
  readonly returned: Map<number, boolean>;
}

export interface SimRouterOptions {
  readonly epoch: number;
  readonly settings: Settings;
  readonly now: () => number;
  readonly carry: (packet: OnLink) => void;
  readonly sealerOf: (target: number) => LinkSealer | undefined;
  readonly onClaim: (entry: RouterSa, owner: number, high: number, low: number) => void;
  readonly onStarved: (entry: RouterSa) => void;
}

/** One life of a routing host: its way in as it is. */
export class SimRouter {
  readonly epoch: number;
  readonly sad = new InboundSad<RouterSa>();
  readonly drops = new DropCounters();
  readonly distributor: Distributor;
  readonly sources = new OuterSources(SEED);
  readonly opening: OpeningInbound<RouterSa>;
  readonly inbound: RoutingInbound<RouterSa>;
  readonly #peeker = new Peeker();
  readonly #rings: RingPool;
  readonly #dispatches: number[];
  readonly #vector = new PacketVector(VECTOR_PACKETS);
  readonly #now: () => number;

  constructor(options: SimRouterOptions) {
    const { epoch, now, settings } = options;
    const { hasEsn, ringSlots, rings, targets, tentativePerGroup, perSecond } = settings;
    this.epoch = epoch;
    this.#now = now;
    this.#rings = new RingPool({ slots: ringSlots, rings });
    this.#dispatches = Array.from({ length: targets }, () => 0);
    this.distributor = new Distributor({
      seed: SEED,
      capacity: 256,
      tentativePerGroup,
      timeouts: { tentativeMs: 40 },
    });
    this.distributor.setDvipa(addr(DVIPA));
    const { sad, drops } = this;
    const addresses = {
      endpoints: new AddressSet([addr(ENDPOINT)]),
      dvipas: new AddressSet([addr(DVIPA)]),
    };
    const link = new SimLink(options.carry);
    const choice = new TargetChoice(this.distributor);
    this.opening = new OpeningInbound<RouterSa>({
      sad,
      addresses,
      crypto: new SimCrypto(hasEsn),
      budget: new VerificationBudget(perSecond),
      choice,
      sender: new SealedSender({ link, epoch: () => epoch, sealerOf: options.sealerOf }),
      fragments: new FragmentMemory({ seed: SEED, now }),
      drops,
      meterOf: ({ meter }) => meter,
      onClaim: (entry, owner, high, low) => options.onClaim(entry, owner, high, low),
      onOpened: () => {},
    });
    this.inbound = new RoutingInbound<RouterSa>({
      sad,
      addresses,
      peek: this.#peeker,
      choice,
      opening: this.opening,
      onStarved: (entry) => options.onStarved(entry),
      sources: this.sources,
      pathMtu: { take: (_vector, _i, _now, verdict) => verdict },
      fragmentHash: new KeyedHash(SEED),
      clear: { run: () => {} },
      link,
      drops,
      nextDispatch: (target) => this.#nextDispatch(target),
      epoch: () => epoch,
    });
  }

  /** `awaiting`: who must return its window before anything is dispatched. */
  add(sa: SecurityAssociation, awaiting: readonly number[]): RouterSa {
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      destination: addr(sa.outer.destination),
      owners: new InboundOwners(sa.replayWindowPackets, this.#rings),
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: {
        address: addr(DVIPA),
        filterMode: 'filter',
        filter: new InboundFilter([]),
        distributesClear: false,
        returnVia: 'direct' as const,
      },
      serving: new Set(),
      awaiting: new Set(awaiting),
      returned: new Map(),
      get isWaitingForWindows() {
        return this.awaiting.size > 0;
      },
      fallback: 'off',
      get isFallbackReady() {
        return this.fallback === 'ready';
      },
      suspicion: new IcvSuspicion(),
      given: new GivenTraffic(awaiting.length > 0),
      openedHere: 0,
      meter: new LifesizeMeter(UNLIMITED, { hardBytes: 0, hardPackets: 0 }),
      addedAt: this.#now(),
    }));
    this.#peeker.install(entry.slot, sa);
    return entry;
  }

  run(datagrams: readonly Buffer[]): void {
    const vector = this.#vector;
    for (let at = 0; at < datagrams.length; at += VECTOR_PACKETS) {
      vector.reset();
      for (const datagram of datagrams.slice(at, at + VECTOR_PACKETS)) vector.push(datagram);
      this.inbound.run(vector, this.#now());
    }
  }

  tick(): void {
    const now = this.#now();
    this.inbound.tick(now);
    this.opening.tick(now);
    this.distributor.table.sweep(now);
    for (const { owners } of this.sad.values()) owners.releaseIfIdle();
  }

  /** The last dispatch to a target. */
  dispatched(target: number): bigint {
    return BigInt(this.#dispatches[target] as number);
  }

  #nextDispatch(target: number): number {
    const next = (this.#dispatches[target] as number) + 1;
    this.#dispatches[target] = next;
    return next;
  }
}
