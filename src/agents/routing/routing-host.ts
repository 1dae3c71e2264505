import type { Clock } from '../../base/clock.ts';
import { RecentRise } from '../../base/recent-rise.ts';
import type { DropCounters } from '../../base/verdict.ts';
import { Distributor } from '../../connections/distributor.ts';
import { type ConnectionKey, KeyedHash } from '../../connections/connection-key.ts';
import { OuterSources } from '../../connections/outer-sources.ts';
import type { ClearDvipa } from '../../dataplane/clear-check.ts';
import { ClearReturn } from '../../dataplane/clear-return.ts';
import { ClearRouting } from '../../dataplane/clear-routing.ts';
import { Funnel } from '../../dataplane/funnel.ts';
import { FragmentMemory } from '../../dataplane/fragment-memory.ts';
import { JoinedIke } from '../../dataplane/joined-ike.ts';
import { OpeningInbound } from '../../dataplane/opening-inbound.ts';
import { PacketTap } from '../../dataplane/packet-tap.ts';
import { PathMtuMessages } from '../../dataplane/path-mtu-messages.ts';
import { LINK_PROTOCOL, type PacketSink, type TrustedLink } from '../../dataplane/ports.ts';
import { RoutingInbound } from '../../dataplane/routing-inbound.ts';
import { SealedSender } from '../../dataplane/sealed-sender.ts';
import { Stamping } from '../../dataplane/stamping.ts';
import { TargetChoice } from '../../dataplane/target-choice.ts';
import { RoutingTrace } from '../../dataplane/trace/routing-trace.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import { AddressMap } from '../../packet/address-map.ts';
import type { PathLimits } from '../../ipsec/path-fit.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import { VerificationBudget } from '../../ipsec/verification-budget.ts';
import { RECENT_MS } from '../../observe/health.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore } from '../../store/store.ts';
import type { Requester } from '../../vici/index.ts';
import { Acquires } from './acquires.ts';
import { DrainedTargets } from './drained-targets.ts';
import { LifesizeLearning } from './lifesize-learning.ts';
import { LifesizeRunner } from './lifesize-runner.ts';
import { NumberingRunner } from './numbering-runner.ts';
import { OpeningRunner } from './opening-runner.ts';
import { Reconfiguration } from './reconfiguration.ts';
import type { Rekeyer } from './rekeyer.ts';
import { PeerMoves } from './peer-moves.ts';
import { type InboundSa, type OutboundSa, RoutingSas } from './routing-sas.ts';
import { SaLifecycle } from './sa-lifecycle.ts';
import type { Cluster } from './target-peers.ts';
import { TargetAuthority } from './target-authority.ts';
import { TargetCompleteness } from './target-completeness.ts';
import { TargetSessions } from './target-sessions.ts';
import type { PacketCryptos } from '../../ipsec/packet-cryptos.ts';

/** Idle SAs give up their rings of unsettled numbers. */
const RELEASE_RINGS_MS = 1000;
/** Datagrams of one SA group whose fragments are on their way. */
const FRAGMENTED_PER_GROUP = 256;

/** What a routing host needs of the machine it is on; in a test, of the test. */
export interface RoutingHostPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly drops: DropCounters;
  readonly cluster: Cluster;
  readonly link: TrustedLink;
  readonly raw: PacketSink;
  readonly limits: PathLimits;
  readonly store: CouplingStore;
  readonly rekeyer: Rekeyer;
  /** The plugin's socket. */
  readonly plugin: Requester;
  /** 0 until this host is the owner. */
  readonly epoch: () => number;
  /** Credit of a target, in percent of an SA's lifesize. */
  readonly percentage: number;
  /** Whether several targets on one SA may be stamped, where its algorithm allows. */
  readonly allowsStamping: boolean;
  /** Cryptography of packets, without SAs yet: one for each use. */
  readonly cryptos: PacketCryptos;
  /** Inbound packets that this host may open itself (`VerificationBudget`). */
  readonly verificationsPerSecond: number;
  /** `HASH_SEED_BYTES` random bytes. */
  readonly hashSeed: Uint8Array;
  /** Connections that the table has room for, a power of two. */
  readonly connectionEntries?: number | undefined;
}

/**
 * The routing host apart from sockets and charon: SAs, both ways of packets, numbering, lifesize and the
 * targets' sessions, joined. Its owner feeds it what was captured and what charon says, and calls `tick`.
 */
export class RoutingHost {
  readonly startedAt: number;
  readonly sas: RoutingSas;
  readonly distributor: Distributor;
  readonly inbound: RoutingInbound<InboundSa>;
  readonly opening: OpeningInbound<InboundSa>;
  /** For captures. */
  readonly tap = new PacketTap();
  /** What `inbound` would do. */
  readonly trace: RoutingTrace<InboundSa>;
  readonly budget: VerificationBudget;
  readonly sealedSender: SealedSender;
  readonly clearSender: SealedSender;
  readonly clearReturn: ClearReturn;
  readonly funnel: Funnel;
  readonly stamping: Stamping<OutboundSa>;
  readonly numbering: NumberingRunner;
  readonly lifesize: LifesizeRunner;
  readonly learning: LifesizeLearning;
  readonly lifecycle: SaLifecycle;
  readonly sessions: TargetSessions;
  readonly completeness: TargetCompleteness;
  readonly reconfiguration: Reconfiguration;
  readonly drains: DrainedTargets;
  /** The budget for verification was too small for what came. */
  readonly shortage = new RecentRise(RECENT_MS);
  /** Packets were lost before we came to them. */
  readonly overrun = new RecentRise(RECENT_MS);
  readonly #ports: RoutingHostPorts;
  #ringsAt = 0;

  constructor(ports: RoutingHostPorts) {
    this.#ports = ports;
    const { clock, log, drops, cluster, link, store, rekeyer, plugin, epoch } = ports;
    this.sas = new RoutingSas(ports.limits, ports.allowsStamping, ports.cryptos);
    const { sas } = this;
    this.startedAt = clock.now();
    this.distributor = new Distributor({
      seed: ports.hashSeed,
      lookAlikes: sas.overlaps,
      ...(ports.connectionEntries !== undefined && { capacity: ports.connectionEntries }),
    });
    for (const { address, distribution } of cluster.dvipas.values())
      this.distributor.setDvipa(address, distribution);
    const { distributor } = this;
    const sources = new OuterSources(ports.hashSeed);
    const fragmentHash = new KeyedHash(ports.hashSeed);
    const common = { clock, log, drops, cluster, sas, rekeyer, distributor };
    const { percentage, hashSeed: seed } = ports;
    this.learning = new LifesizeLearning({ log, sas, rekeyer, percentage, seed });
    const { learning } = this;
    this.lifesize = new LifesizeRunner({
      ...common,
      store,
      plugin,
      learning,
      install: (entry, peer) => this.lifecycle.install(entry, peer),
    });
    const opened = new OpeningRunner({
      ...common,
      store,
      inbound: () => this.inbound,
      opening: () => this.opening,
      lifesize: () => this.lifesize,
    });
    const choice = new TargetChoice(distributor);
    const fragments = new FragmentMemory({
      seed: ports.hashSeed,
      now: () => clock.now(),
      perGroup: FRAGMENTED_PER_GROUP,
    });
    this.budget = new VerificationBudget(ports.verificationsPerSecond);
    const sealerOf = (target: number) => cluster.peerAt(target)?.linkKeys.sealer;
    this.sealedSender = new SealedSender({ link, epoch, sealerOf });
    this.opening = new OpeningInbound({
      sad: sas.inbound,
      addresses: cluster.addresses,
      crypto: sas.opening,
      budget: this.budget,
      choice,
      sender: this.sealedSender,
      fragments,
      drops,
      meterOf: (entry) => sas.openingMeter(entry, clock.now()),
      onClaim: (entry, owner, high, low) => opened.claim(entry, owner, high, low),
      onOpened: (entry, isSuspicionNew) => opened.opened(entry, isSuspicionNew),
    });
    const clearDvipas = new AddressMap<ClearDvipa>();
    this.clearSender = new SealedSender({ link, epoch, sealerOf });
    const clearly = {
      dvipas: clearDvipas,
      covers: (connection: ConnectionKey) => sas.outbound.covers(connection),
      isReady: () => epoch() !== 0 && this.lifecycle.isListed,
      drops,
    };
    const clear = new ClearRouting({
      ...clearly,
      distributor,
      // One of its own: each sends what it has sealed itself.
      sender: this.clearSender,
      clusterMtu: ports.limits.cluster,
    });
    this.clearReturn = new ClearReturn({
      ...clearly,
      isGiven: (connection, target, now) => distributor.mayReport(connection, target, now),
      fragments: new FragmentMemory({ seed: ports.hashSeed, now: () => clock.now() }),
      raw: ports.raw,
      outsideMtu: ports.limits.outside,
    });
    this.inbound = new RoutingInbound({
      sad: sas.inbound,
      addresses: cluster.addresses,
      peek: sas.peeker,
      choice,
      opening: this.opening,
      onStarved: (entry) => opened.starved(entry),
      sources,
      fragmentHash,
      pathMtu: new PathMtuMessages({
        sad: sas.outbound,
        onHeard: (entry, isNews) => this.#pathMtuHeard(entry, isNews),
      }),
      ike: new JoinedIke(ports.raw, drops, cluster.addresses),
      clear,
      tap: this.tap,
      link,
      drops,
      nextDispatch: (target) => cluster.peerAt(target)?.nextDispatch() ?? 0,
      epoch,
    });
    this.drains = new DrainedTargets({ ...common, store, epoch });
    this.trace = new RoutingTrace({
      sad: sas.inbound,
      addresses: cluster.addresses,
      peek: sas.peeker,
      choice,
      clear,
      nameOf: (target) => cluster.peerAt(target)?.host ?? `#${target}`,
    });
    const moves = new PeerMoves({ clock, log, plugin, sources });
    this.lifecycle = new SaLifecycle({
      ...common,
      moves,
      store,
      plugin,
      epoch,
      ownerSince: this.startedAt,
      learning,
      rekeyer: () => rekeyer,
      numbering: () => this.numbering,
      lifesize: () => this.lifesize,
      inbound: () => this.inbound,
      opening: () => this.opening,
      funnel: () => this.funnel,
      stamping: () => this.stamping,
    });
    this.numbering = new NumberingRunner({
      ...common,
      store,
      funnel: () => this.funnel,
      stamping: () => this.stamping,
      install: (entry, peer) => this.lifecycle.install(entry, peer),
    });
    this.funnel = new Funnel({
      sad: sas.outbound,
      overlaps: sas.overlaps,
      crypto: sas.sealing,
      raw: ports.raw,
      fragments: new FragmentMemory({ seed: ports.hashSeed, now: () => clock.now() }),
      clear: this.clearReturn,
      drops,
      onNumbering: (entry) => {
        this.numbering.changed(entry);
        this.lifesize.funnelUsed(entry);
      },
    });
    this.stamping = new Stamping({
      sad: sas.outbound,
      stamps: sas.stamps,
      raw: ports.raw,
      drops,
      onNumbering: (entry) => this.numbering.changed(entry),
    });
    this.completeness = new TargetCompleteness({
      cluster,
      log,
      now: () => clock.now(),
      isOwner: () => epoch() > 0,
    });
    const { lifecycle, numbering, lifesize, opening, completeness, budget } = this;
    const authority = new TargetAuthority({
      ...common,
      lifecycle,
      numbering,
      lifesize,
      completeness,
    });
    this.reconfiguration = new Reconfiguration({
      ...common,
      link,
      budget,
      learning,
      numbering,
      authority,
      completeness,
      drains: this.drains,
      clearDvipas,
    });
    this.sessions = new TargetSessions({
      ...common,
      lifecycle,
      numbering,
      lifesize,
      moves,
      opening,
      opened,
      completeness,
      authority,
      drains: this.drains,
      newLinkCipher: ports.cryptos.newLinkCipher,
      acquires: new Acquires({ ...common, plugin }),
    });
    link.onReceive((packets, peer, protocol, carried) => this.#fromLink(packets, peer, protocol, carried));
  }

  /** Call it about every 50 ms. */
  tick(now: number): void {
    this.inbound.tick(now);
    this.opening.tick(now);
    if (now >= this.#ringsAt) this.#releaseRings(now);
    this.funnel.tick(now);
    this.stamping.tick(now);
    this.distributor.sweep(now);
    this.completeness.tick();
    this.reconfiguration.leaving.tick(now);
    this.shortage.look(this.budget.refused, now);
    this.overrun.look(this.#ports.drops.get('receive-overrun'), now);
  }

  /** Stops its timers and wipes all keys. */
  close(): void {
    this.numbering.close();
    this.lifesize.close();
    this.sas.clear();
    for (const { linkKeys } of this.#ports.cluster.peers) linkKeys.wipe();
  }

  #releaseRings(now: number): void {
    this.#ringsAt = now + RELEASE_RINGS_MS;
    for (const { owners } of this.sas.inbound.values()) owners.releaseIfIdle();
  }

  /** Targets send on the same way: they need not be told by a router each. */
  #pathMtuHeard({ sa, service, fit }: OutboundSa, isNews: boolean): void {
    const mtu = fit.outerMtu;
    this.#ports.log[isNews ? 'info' : 'debug']('path MTU lowered', {
      sa: sa.id,
      spi: formatSpi(sa.spi),
      peer: sa.outer.destination,
      mtu,
    });
    for (const peer of this.#ports.cluster.connected(service))
      peer.session?.send('path-mtu', { sa: sa.id, mtu });
  }

  #fromLink(packets: PacketVector, index: number, protocol: number, carried: number): void {
    const { cluster, clock, drops, epoch } = this.#ports;
    const peer = cluster.peerAt(index);
    if (peer !== undefined && protocol === LINK_PROTOCOL.STAMP) {
      this.stamping.run(packets, peer.host, carried, epoch(), clock.now());
      return;
    }
    if (peer === undefined || protocol !== LINK_PROTOCOL.SEALED) {
      drops.count('link-unknown-kind', packets.count);
      return;
    }
    const { host, dvipas, linkKeys } = peer;
    const now = clock.now();
    const counter = this.funnel.run(
      packets,
      { host, index, dvipas, opener: linkKeys.opener },
      carried,
      epoch(),
      now,
    );
    if (counter > 0) this.numbering.linkUsed(host, counter, now);
  }
}
