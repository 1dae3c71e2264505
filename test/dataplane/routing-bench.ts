import { randomBytes } from 'node:crypto';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DropCounters } from '../../src/base/verdict.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { type FilterMode, type FilterRule, InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { InboundSad } from '../../src/dataplane/inbound-sad.ts';
import { FragmentMemory } from '../../src/dataplane/fragment-memory.ts';
import { type OpenedHereSa, OpeningInbound } from '../../src/dataplane/opening-inbound.ts';
import { RoutingInbound, type RoutingInboundOptions } from '../../src/dataplane/routing-inbound.ts';
import { SealedSender } from '../../src/dataplane/sealed-sender.ts';
import { TargetChoice } from '../../src/dataplane/target-choice.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { GivenTraffic } from '../../src/ipsec/given-traffic.ts';
import { IcvSuspicion } from '../../src/ipsec/icv-suspicion.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';
import { LinkNodeCipher } from '../../src/ipsec/link-node-cipher.ts';
import { LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { TunnelCheck } from '../../src/ipsec/tunnel-check.ts';
import { RingPool } from '../../src/ipsec/unsettled-ring.ts';
import { VerificationBudget } from '../../src/ipsec/verification-budget.ts';
import { RecordingLink, vectorOf } from '../support/dataplane-parts.ts';
import { addr, DVIPA, DVIPA6, ENDPOINT, ENDPOINT6 } from '../support/inner-packets.ts';
import { AddressSet } from '../../src/packet/address-map.ts';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { OuterSources } from '../../src/connections/outer-sources.ts';

export interface InstallOptions {
  readonly filterMode?: FilterMode;
  readonly rules?: readonly FilterRule[];
  /** Targets that serve it. */
  readonly serving?: readonly number[];
  readonly isWaitingForWindows?: boolean;
  readonly isFallbackReady?: boolean;
  /** Of unsettled numbers; 4096 unless given. */
  readonly ringSlots?: number;
  readonly hardPackets?: number;
}

/** An SA of the bench. */
export interface BenchSa extends OpenedHereSa {
  isFallbackReady: boolean;
  readonly meter: LifesizeMeter;
}

/** The routing host's way in, with a link that keeps what it is given and targets 0, 1 and 2. */
export class RoutingBench {
  readonly drops = new DropCounters();
  readonly link = new RecordingLink();
  readonly sad = new InboundSad<BenchSa>();
  readonly peeker = new Peeker();
  readonly distributor = new Distributor({ seed: Buffer.alloc(8, 7) });
  readonly inbound: RoutingInbound<BenchSa>;
  readonly opening: OpeningInbound<BenchSa>;
  readonly budget = new VerificationBudget(10_000);
  /** Opens what the routing host seals for each target. */
  readonly openers: readonly LinkOpener[];
  /** Numbers that targets were asked for: owner and number each. */
  readonly claims: string[] = [];
  /** SPIs of SAs for which packets wait. */
  readonly starved: number[] = [];
  suspicions = 0;
  readonly #crypto = new EspNodeCrypto({ randomBytes });
  readonly #dispatches = [0, 0, 0];
  now = 1000;
  epoch = 3;

  constructor(
    targets: readonly number[] = [0, 1, 2],
    endpoints: readonly string[] = [ENDPOINT, ENDPOINT6],
    pathMtu: RoutingInboundOptions['pathMtu'] = { take: (_vector, _i, _now, verdict) => verdict },
  ) {
    for (const dvipa of [DVIPA, DVIPA6]) {
      this.distributor.setDvipa(addr(dvipa));
      for (const target of targets) this.distributor.addTarget(addr(dvipa), target);
    }
    const addresses = {
      endpoints: new AddressSet(endpoints.map(addr)),
      dvipas: new AddressSet([DVIPA, DVIPA6].map(addr)),
    };
    const keys = targets.map((target) => ({
      keyId: target + 1,
      key: KeyMaterial.copyOf(Buffer.alloc(32, target + 1)),
    }));
    const sealers = keys.map((key) => new LinkSealer(new LinkNodeCipher(key)));
    this.openers = keys.map((key) => {
      const opener = new LinkOpener();
      opener.install(new LinkNodeCipher(key));
      return opener;
    });
    const choice = new TargetChoice(this.distributor);
    this.opening = new OpeningInbound<BenchSa>({
      sad: this.sad,
      addresses,
      crypto: this.#crypto,
      budget: this.budget,
      choice,
      sender: new SealedSender({
        link: this.link,
        epoch: () => this.epoch,
        sealerOf: (target) => sealers[target],
      }),
      fragments: new FragmentMemory({ seed: Buffer.alloc(8, 7), now: () => this.now }),
      drops: this.drops,
      meterOf: ({ meter }) => meter,
      onClaim: (_entry, owner, high, low) => this.claims.push(`${owner}: ${high}/${low}`),
      onOpened: (_entry, isSuspicionNew) => {
        if (isSuspicionNew) this.suspicions++;
      },
    });
    this.inbound = new RoutingInbound<BenchSa>({
      sad: this.sad,
      addresses,
      peek: this.peeker,
      choice,
      opening: this.opening,
      onStarved: ({ sa }) => this.starved.push(sa.spi),
      sources: new OuterSources(Buffer.alloc(8, 7)),
      pathMtu,
      fragmentHash: new KeyedHash(Buffer.alloc(8, 7)),
      clear: { run: () => {} },
      link: this.link,
      drops: this.drops,
      nextDispatch: (target) => {
        const next = (this.#dispatches[target] ?? 0) + 1;
        this.#dispatches[target] = next;
        return next;
      },
      epoch: () => this.epoch,
    });
  }

  install(sa: SecurityAssociation, options: InstallOptions = {}): BenchSa {
    const { filterMode = 'bypass', rules = [], serving = [0, 1, 2] } = options;
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      destination: addr(sa.outer.destination),
      owners: new InboundOwners(sa.replayWindowPackets, new RingPool({ slots: options.ringSlots ?? 4096 })),
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: {
        address: addr(sa.dvipa),
        filterMode,
        filter: new InboundFilter(rules),
        distributesClear: false,
        returnVia: 'direct' as const,
      },
      serving: new Set(serving),
      isWaitingForWindows: options.isWaitingForWindows ?? false,
      isFallbackReady: options.isFallbackReady ?? false,
      suspicion: new IcvSuspicion(),
      given: new GivenTraffic(false),
      openedHere: 0,
      meter: new LifesizeMeter(
        { bytes: Number.MAX_SAFE_INTEGER, packets: options.hardPackets ?? Number.MAX_SAFE_INTEGER },
        { hardBytes: 0, hardPackets: options.hardPackets ?? 0 },
      ),
    }));
    this.#crypto.install(entry.slot, sa);
    this.peeker.install(entry.slot, sa);
    return entry;
  }

  /** One vector; returns it. */
  run(...datagrams: readonly Uint8Array[]) {
    const vector = vectorOf(...datagrams);
    this.inbound.run(vector, this.now);
    return vector;
  }
}
