import { FlowTracker } from '../../src/connections/flow-tracker.ts';
import { WithheldResets } from '../../src/dataplane/withheld-resets.ts';
import { randomBytes } from 'node:crypto';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DropCounters, ELSEWHERE, type Verdict, verdictOf } from '../../src/base/verdict.ts';
import { pathFitOf } from '../../src/agents/sa-settings.ts';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { FragmentMemory } from '../../src/dataplane/fragment-memory.ts';
import type { OuterHeader } from '../../src/dataplane/encapsulate.ts';
import { Funnel, type FunnelPeer, type RoutingOutboundSa } from '../../src/dataplane/funnel.ts';
import { OutboundSad } from '../../src/dataplane/outbound-sad.ts';
import type { ChoosePolicy } from '../../src/dataplane/outbound-steps.ts';
import { type ShadowOutboundSa, TargetOutbound } from '../../src/dataplane/target-outbound.ts';
import type { PacketVector } from '../../src/dataplane/vector.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { GroupOverlaps } from '../../src/ipsec/group-overlaps.ts';
import { type LifesizeCredit, LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';
import type { LinkSealer } from '../../src/ipsec/link-seal.ts';
import { NumberingHolder } from '../../src/ipsec/numbering-holder.ts';
import { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';
import { PathMtus } from '../../src/ipsec/path-mtus.ts';
import type { SendWay } from '../../src/ipsec/numbering-actions.ts';
import type { StampKeys } from '../../src/ipsec/stamp-mask.ts';
import { StampSealer } from '../../src/ipsec/stamp-sealer.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { IvCounter } from '../../src/ipsec/sender-ids.ts';
import { RecordingSink, vectorOf } from '../support/dataplane-parts.ts';
import type { EspPeer, Opened } from '../support/esp-peer.ts';
import { addr, DVIPA, DVIPA6 } from '../support/inner-packets.ts';
import { LinkHeader, newOpener, newSealer, sealOne } from '../support/link-seal.ts';
import { policyFor } from '../support/test-sas.ts';
import { AddressSet } from '../../src/packet/address-map.ts';

const UNLIMITED = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };
/** IPv4 and UDP in front of ESP. */
export const OUTER_BYTES = 28;

export function outerOf(sa: SecurityAssociation): OuterHeader {
  const { source, destination, sourcePort, destinationPort } = sa.outer;
  const { df, ecn, dscp } = sa.copy;
  const copies = { copyDf: df, copyEcn: ecn, copyDscp: dscp };
  return {
    mode: sa.mode,
    hasUdpEncapsulation: sa.hasUdpEncapsulation,
    source: addr(source),
    destination: addr(destination),
    sourcePort,
    destinationPort,
    ...copies,
  };
}

function meterOf(sa: SecurityAssociation, credit: LifesizeCredit): LifesizeMeter {
  const { bytes, packets } = sa.lifetime;
  return new LifesizeMeter(credit, { hardBytes: bytes.hard, hardPackets: packets.hard });
}

/** What the peer makes of sent datagrams; undefined where it could not open one. */
export function openAll(datagrams: readonly Buffer[], ...sas: readonly EspPeer[]): (Opened | undefined)[] {
  return datagrams.map((datagram) => {
    const esp = datagram.subarray(OUTER_BYTES);
    for (const sa of sas) {
      const opened = sa.open(esp);
      if (opened !== undefined) return opened;
    }
    return undefined;
  });
}

const SEED = Buffer.alloc(8, 5);

export interface OutboundOptions {
  readonly credit?: LifesizeCredit;
  readonly senderId?: number;
  readonly stamping?: StampKeys;
  readonly dvipa?: { returnVia: 'direct' | 'router' };
  /** Without: nothing asks for the SA (no switch yet). */
  readonly hasPolicy?: boolean;
}

/** A target's way out, with a raw socket and a funnel that keep what they get. */
export class OutboundBench {
  readonly drops = new DropCounters();
  readonly raw = new RecordingSink();
  readonly kernel = new RecordingSink();
  readonly overlaps: GroupOverlaps;
  readonly sad = new OutboundSad<ShadowOutboundSa>();
  readonly crypto = new EspNodeCrypto({ randomBytes });
  readonly funnelled: Buffer[] = [];
  /** Actions that holders asked for, by kind. */
  readonly asked: string[] = [];
  /** Masked packets, for the routing host to stamp. */
  readonly toStamp: Buffer[] = [];
  epoch = 3;
  readonly outboundSeen: number[] = [];
  onOutbound = (vector: PacketVector, i: number, _entry: ShadowOutboundSa): boolean => {
    this.outboundSeen.push(vector.destinationPort[i] as number);
    return false;
  };
  now = 1000;
  limits = { outside: 1500, cluster: 1500 };
  choosePolicy: ChoosePolicy = (_vector, _i, best) => best;
  acquire = (_vector: PacketVector, _i: number, _now: number): Verdict => verdictOf('no-sa');
  /** Connections that are known; unless a test says so, the set of targets is complete. */
  readonly flows = new FlowTracker({ seed: SEED, maxFlows: 64 });
  readonly withheld = new WithheldResets(this.flows);
  readonly outbound: TargetOutbound;

  constructor(overlaps = new GroupOverlaps()) {
    this.overlaps = overlaps;
    for (const dvipa of [DVIPA, DVIPA6]) this.withheld.setComplete(addr(dvipa), true);
    this.outbound = new TargetOutbound({
      sad: this.sad,
      overlaps: this.overlaps,
      crypto: this.crypto,
      raw: this.raw,
      kernel: this.kernel,
      fragments: new FragmentMemory({ seed: SEED, now: () => this.now }),
      fragmentHash: new KeyedHash(SEED),
      clear: { outbound: () => verdictOf('no-policy'), flush: () => {} },
      drops: this.drops,
      dvipas: new AddressSet([DVIPA, DVIPA6].map(addr)),
      choosePolicy: (vector, i, best) => this.choosePolicy(vector, i, best),
      withhold: (vector, i, { sa }) => this.withheld.check(vector, i, sa.group),
      sendToStamper: (vector) => {
        for (let i = 0; i < vector.count; i++) {
          if (vector.verdict[i] === 0) this.toStamp.push(Buffer.from(vector.packet(i)));
        }
      },
      epoch: () => this.epoch,
      acquire: (vector, i, now) => this.acquire(vector, i, now),
      sendToFunnel: (vector) => {
        for (let i = 0; i < vector.count; i++) {
          if (vector.verdict[i] === 0) this.funnelled.push(Buffer.from(vector.packet(i)));
        }
      },
      onNumbering: (entry) => this.#carryOut(entry),
      onOutbound: (vector, i, entry) => this.onOutbound(vector, i, entry),
    });
  }

  install(sa: SecurityAssociation, options: OutboundOptions = {}): ShadowOutboundSa {
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      outer: outerOf(sa),
      fit: pathFitOf(sa, new PathMtus(this.limits)),
      holder: new NumberingHolder(),
      dvipa: options.dvipa ?? { returnVia: 'direct' },
      iv: options.senderId === 0 ? undefined : new IvCounter(options.senderId ?? 5),
      stamp:
        options.stamping &&
        new StampSealer({ ...options.stamping, epoch: this.epoch, group: sa.group, icvBytes: 16 }),
      lastStamped: 0,
      meter: meterOf(sa, options.credit ?? UNLIMITED),
    }));
    this.crypto.install(entry.slot, sa);
    if (options.hasPolicy !== false) this.sad.installPolicy(policyFor(sa));
    return entry;
  }

  remove(entry: ShadowOutboundSa): void {
    this.sad.remove(entry.sa.id);
    this.crypto.remove(entry.slot);
    this.outbound.resume(entry, this.now);
  }

  /** What the routing host answers a lease request with. */
  grant(entry: ShadowOutboundSa, first: number, count: number, lease = 1): void {
    entry.holder.granted(lease, BigInt(first), count, 200, this.now);
    this.#carryOut(entry);
  }

  way(entry: ShadowOutboundSa, way: SendWay): void {
    entry.holder.way(way, 0n, this.now);
    this.#carryOut(entry);
  }

  run(...packets: readonly Uint8Array[]): PacketVector {
    const vector = vectorOf(...packets);
    this.outbound.run(vector, this.now);
    return vector;
  }

  #carryOut(entry: ShadowOutboundSa): void {
    for (const action of entry.holder.takeActions()) {
      this.asked.push(action.kind);
      if (action.kind === 'resume') this.outbound.resume(entry, this.now);
    }
  }
}

/** The funnel with one or more targets, the store answering when told. */
export class FunnelBench {
  readonly drops = new DropCounters();
  readonly raw = new RecordingSink();
  readonly sad = new OutboundSad<RoutingOutboundSa>();
  readonly overlaps = new GroupOverlaps();
  readonly crypto = new EspNodeCrypto({ randomBytes });
  readonly funnel: Funnel;
  readonly revoked: string[] = [];
  /** Targets that sent answers in clear. */
  readonly clear: number[] = [];
  now = 1000;
  limits = { outside: 1500, cluster: 1500 };
  readonly epoch = 3;
  /** False: marks are not stored, so no number is given. */
  isStoring = true;

  constructor() {
    this.funnel = new Funnel({
      sad: this.sad,
      overlaps: this.overlaps,
      crypto: this.crypto,
      raw: this.raw,
      fragments: new FragmentMemory({ seed: SEED, now: () => this.now }),
      clear: {
        take: (_vector, _i, target) => {
          this.clear.push(target);
          return ELSEWHERE;
        },
        flush: () => {},
      },
      drops: this.drops,
      onNumbering: (entry) => this.settle(entry),
    });
  }

  install(
    sa: SecurityAssociation,
    targets: readonly string[] = ['target1', 'target2'],
    credit: LifesizeCredit = UNLIMITED,
  ): RoutingOutboundSa {
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      outer: outerOf(sa),
      fit: pathFitOf(sa, new PathMtus(this.limits)),
      numbering: new NumberingOwner({
        origin: 'new',
        hasEsn: false,
        sharedWay: 'funnel',
        allowsExclusive: true,
        epoch: this.epoch,
        now: this.now,
      }),
      meter: meterOf(sa, credit),
    }));
    this.crypto.install(entry.slot, sa);
    this.sad.installPolicy(policyFor(sa));
    for (const target of targets) entry.numbering.targetReady(target, 1n, this.now);
    this.settle(entry);
    return entry;
  }

  settle(entry: RoutingOutboundSa): void {
    for (const action of entry.numbering.takeActions()) {
      if (action.kind === 'store-marks' && this.isStoring) {
        entry.numbering.storeDone(action.marks, this.now);
        this.settle(entry);
      } else if (action.kind === 'shared-open') this.funnel.resume(entry, this.now);
      else if (action.kind === 'revoke') this.revoked.push(action.target);
    }
  }

  /** One vector of a target's link packets, as they came. */
  /** What the last `run` returned. */
  linkCounter = 0;

  run(from: FunnelTarget, packets: readonly Uint8Array[], epoch = this.epoch): PacketVector {
    const vector = vectorOf(...packets);
    this.linkCounter = this.funnel.run(vector, from.peer, epoch, this.epoch, this.now);
    return vector;
  }
}

/** A target that seals for the link, and the routing host's view of it. */
export class FunnelTarget {
  readonly peer: FunnelPeer;
  readonly #sealer: LinkSealer;
  readonly #epoch: number;

  constructor(host: string, options: { epoch?: number; dvipas?: readonly string[] } = {}) {
    const key = () => KeyMaterial.copyOf(Buffer.alloc(32, host));
    const opener = newOpener(1, key());
    this.#sealer = newSealer(1, key());
    this.#epoch = options.epoch ?? 3;
    this.peer = {
      host,
      index: Number(host.slice(-1)) - 1,
      opener,
      dvipas: new AddressSet((options.dvipas ?? [DVIPA]).map(addr)),
    };
  }

  /** `kind` 1 is a packet for the funnel; `group`: the SA group that it is meant for. */
  seal(inner: Uint8Array, kind = 1, group = 1): Buffer {
    const vector = vectorOf(inner);
    const header = new LinkHeader();
    header.kind = kind;
    header.group = group;
    if (sealOne(this.#sealer, vector, 0, header, this.#epoch) !== 0) throw new Error('not sealed');
    return Buffer.from(vector.packet(0));
  }
}
