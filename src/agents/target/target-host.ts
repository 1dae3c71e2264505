import type { Clock } from '../../base/clock.ts';
import { RecentRise } from '../../base/recent-rise.ts';
import type { DropCounters } from '../../base/verdict.ts';
import { ClearConnections } from '../../connections/clear-connections.ts';
import { CLEAR_GROUP, KeyedHash, newConnectionKey } from '../../connections/connection-key.ts';
import { FlowTracker } from '../../connections/flow-tracker.ts';
import { Acquiring } from '../../dataplane/acquiring.ts';
import { ClearCheck } from '../../dataplane/clear-check.ts';
import { ClearText } from '../../dataplane/clear-text.ts';
import { DispatchFloor } from '../../dataplane/dispatch-floor.ts';
import { readFlowKey } from '../../dataplane/flow-key.ts';
import { FragmentMemory } from '../../dataplane/fragment-memory.ts';
import { InnerDelivery } from '../../dataplane/inner-delivery.ts';
import { LookAlikes } from '../../dataplane/look-alikes.ts';
import { PacketTap } from '../../dataplane/packet-tap.ts';
import { LINK_PROTOCOL, type PacketSink, type TrustedLink } from '../../dataplane/ports.ts';
import { type LeasedPorts, OpenedFlows } from '../../dataplane/opened-flows.ts';
import { SealedInbound } from '../../dataplane/sealed-inbound.ts';
import { TargetInbound } from '../../dataplane/target-inbound.ts';
import { TargetOutbound } from '../../dataplane/target-outbound.ts';
import { TargetTrace } from '../../dataplane/trace/target-trace.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import { WithheldResets } from '../../dataplane/withheld-resets.ts';
import { KEEP, type Verdict } from '../../base/verdict.ts';
import { FRAGMENT } from '../../ipsec/inner-columns.ts';
import type { PathLimits } from '../../ipsec/path-fit.ts';
import { RECENT_MS } from '../../observe/health.ts';
import type { Log } from '../../observe/log.ts';
import { AddressSet } from '../../packet/address-map.ts';
import { addressOf } from '../sa-settings.ts';
import type { CpuTimes } from './busy-share.ts';
import { sealClear, sealForFunnel, type SealVector } from './funnel-sender.ts';
import { ShadowCache } from './shadow-cache.ts';
import { type ListeningSource, TargetListeners } from './target-listeners.ts';
import { TargetLoad } from './target-load.ts';
import { type MaintenanceMark, TargetMaintenance } from './target-maintenance.ts';
import { TargetReports } from './target-reports.ts';
import { TargetRelations } from './target-session.ts';
import type { PacketCryptos } from '../../ipsec/packet-cryptos.ts';

/** The routing host's number on the link; a target has one peer. */
export const ROUTER_PEER = 0;

/** While nothing is accepted from the link, its epoch says so. */
const NO_DISPATCHES = new DispatchFloor();

/** Datagrams of one SA group whose fragments are on their way. */
const FRAGMENTED_PER_GROUP = 256;

/** What a target needs of the machine it is on; in a test, of the test. */
export interface TargetHostPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly drops: DropCounters;
  /** DVIPAs of this host's own configuration. */
  readonly dvipas: readonly string[];
  readonly link: TrustedLink;
  readonly tun: PacketSink;
  readonly raw: PacketSink;
  readonly limits: PathLimits;
  /** Cryptography of packets, without SAs yet: one for each direction. */
  readonly cryptos: PacketCryptos;
  /** What listens on this host. */
  readonly listening: ListeningSource;
  /** What its processors did since it was started. */
  readonly cpuTimes: () => Promise<CpuTimes>;
  /** From these DVIPAs packets may leave in clear: the host's guard must know. Called when they may be others. */
  readonly onClearText: (dvipas: readonly string[]) => void;
  /** Source ports of the DVIPAs that this host serves. Called when they may be others. */
  readonly onSourcePorts: (leases: readonly LeasedPorts[]) => void;
  /** Where maintenance is kept. */
  readonly maintenanceMark: MaintenanceMark;
  /** `HASH_SEED_BYTES` random bytes. */
  readonly hashSeed: Uint8Array;
}

/**
 * A target apart from sockets: shadow cache, both ways of packets, flow tracking, reports and the relation to the
 * routing host, joined. Its owner feeds it what the TUN has, and calls `tick`.
 */
export class TargetHost {
  readonly cache: ShadowCache;
  readonly flows: FlowTracker;
  readonly reports: TargetReports;
  readonly relations: TargetRelations;
  readonly inbound: TargetInbound;
  /** For packets that the routing host has opened. */
  readonly sealedInbound: SealedInbound;
  readonly delivery: InnerDelivery;
  readonly clearText: ClearText;
  readonly outbound: TargetOutbound;
  readonly lookAlikes: LookAlikes;
  readonly listeners: TargetListeners;
  readonly load: TargetLoad;
  readonly maintenance: TargetMaintenance;
  readonly resets: WithheldResets;
  readonly opened: OpenedFlows;
  readonly acquiring: Acquiring;
  /** Packets were lost before we came to them. */
  readonly overrun = new RecentRise(RECENT_MS);
  /** For captures. */
  readonly tap = new PacketTap();
  /** What `inbound` and `outbound` would do. */
  readonly trace: TargetTrace;
  readonly #ports: TargetHostPorts;
  /** What must never leave in clear: DVIPAs of this host's own configuration, served or not. */
  readonly #configured: AddressSet;
  readonly #key = newConnectionKey();
  /** When the vector came that is on its way in: the clock is asked once for all of it. */
  #arrivedAt = 0;

  constructor(ports: TargetHostPorts) {
    this.#ports = ports;
    const { clock, log, drops, dvipas, link, tun, raw } = ports;
    this.cache = new ShadowCache(dvipas, ports.limits, ports.cryptos);
    this.#configured = new AddressSet(dvipas.map(addressOf));
    this.flows = new FlowTracker({ seed: ports.hashSeed, onRefused: () => this.listeners.refused() });
    this.resets = new WithheldResets(this.flows);
    const { cache, resets } = this;
    this.listeners = new TargetListeners({
      clock,
      log,
      source: ports.listening,
      served: () => cache.dvipas,
    });
    this.load = new TargetLoad(clock, log, ports.cpuTimes);
    this.maintenance = new TargetMaintenance(log, ports.maintenanceMark);
    const { listeners, load, maintenance } = this;
    this.lookAlikes = new LookAlikes({
      overlaps: cache.overlaps,
      sad: cache.outbound,
      openFlows: () => this.flows.flows(),
      seed: ports.hashSeed,
      now: () => clock.now(),
    });
    const { lookAlikes } = this;
    this.reports = new TargetReports(clock, cache, this.flows);
    const { reports } = this;
    const send = (vector: PacketVector, now: number) => this.outbound.run(vector, now);
    this.opened = new OpenedFlows({
      leasesOf: (words, at) => cache.served.get(words, at)?.sourcePorts,
      flows: this.flows,
      seed: ports.hashSeed,
      ask: (key) => reports.askForFlow(key),
      send,
      drops,
    });
    this.acquiring = new Acquiring({
      policyOf: (vector, i) => {
        const best = cache.outbound.policyFor(vector, i);
        return best === undefined ? undefined : lookAlikes.choose(vector, i, best);
      },
      hasSa: (vector, i) => this.outbound.hasSa(vector, i),
      ask: (policy, vector, i) => reports.askForSa(policy, vector, i),
      send,
      drops,
    });
    const { opened, acquiring } = this;
    this.relations = new TargetRelations({
      clock,
      log,
      drops,
      cache,
      reports,
      listeners,
      load,
      maintenance,
      resets,
      onDvipas: () => this.#tellDvipas(),
      outbound: () => this.outbound,
      opened,
      acquiring,
      newLinkCipher: ports.cryptos.newLinkCipher,
    });
    const seed = ports.hashSeed;
    const now = () => clock.now();
    const fragments = new FragmentMemory({ seed, now, perGroup: FRAGMENTED_PER_GROUP });
    this.delivery = new InnerDelivery({
      tun,
      admits: (vector, i, group) => lookAlikes.admits(vector, i, group),
      onAuthenticated: (vector, i, group) => {
        opened.heard(vector, i, group, this.#arrivedAt);
        this.#observe(vector, i, true, group, this.#arrivedAt);
      },
    });
    const { delivery } = this;
    this.clearText = new ClearText({
      dvipas: cache.served,
      covers: (connection) => cache.outbound.covers(connection),
      connections: new ClearConnections({ seed }),
      isReady: () => this.relations.isSnapshotComplete,
      fragments: new FragmentMemory({ seed, now }),
      limits: ports.limits,
      delivery,
      raw,
      sendToRouter: (vector) => this.#sealedToRouter(vector, sealClear),
      kernel: tun,
      drops,
      onOutbound: (vector, i) => this.#observe(vector, i, false, CLEAR_GROUP, clock.now()),
      now,
    });
    const clear = this.clearText;
    this.sealedInbound = new SealedInbound({
      sad: cache.inbound,
      opener: this.relations.linkKeys.opener,
      dvipas: cache.served,
      fragments,
      delivery,
      clear,
      tap: this.tap,
      drops,
    });
    this.inbound = new TargetInbound({
      sad: cache.inbound,
      crypto: cache.opening,
      tap: this.tap,
      drops,
      fragments,
      delivery,
      onMoved: (entry, vector, i) => reports.peerMoved(entry, vector, i),
      onReportDue: (entry) => reports.numbersDue(entry),
    });
    const outboundFragments = new FragmentMemory({ seed, now });
    this.outbound = new TargetOutbound({
      sad: cache.outbound,
      overlaps: cache.overlaps,
      crypto: cache.sealing,
      raw,
      tap: this.tap,
      kernel: tun,
      fragments: outboundFragments,
      fragmentHash: new KeyedHash(seed),
      drops,
      clear,
      dvipas: this.#configured,
      choosePolicy: (vector, i, best) => lookAlikes.choose(vector, i, best),
      withhold: (vector, i, { sa }, now) => this.#withhold(vector, i, sa.group, now),
      acquire: (vector, i, now) => acquiring.hold(vector, i, now),
      sendToStamper: (vector) => void this.#toRouter(vector),
      epoch: () => this.#sessionEpoch(),
      sendToFunnel: (vector) => void this.#sealedToRouter(vector, sealForFunnel(cache.outbound)),
      onNumbering: (entry) => this.relations.numberingChanged(entry),
      onOutbound: (vector, i, { sa }, at) => this.#observe(vector, i, false, sa.group, at),
    });
    this.trace = new TargetTrace({
      inbound: cache.inbound,
      outbound: cache.outbound,
      addresses: () => cache.addresses,
      crypto: cache.opening,
      inboundFragments: fragments,
      outboundFragments,
      overlaps: cache.overlaps,
      lookAlikes,
      dvipas: this.#configured,
      resets,
      opened,
      clear: new ClearCheck(cache.served, (connection) => cache.outbound.covers(connection)),
      epoch: () => this.#sessionEpoch(),
    });
    link.onReceive((packets, _peer, protocol, epoch) => this.#fromLink(packets, protocol, epoch));
  }

  /** One vector of what the kernel sends from a DVIPA. */
  send(vector: PacketVector): void {
    this.outbound.run(vector, this.#ports.clock.now());
    this.reports.flowsChanged();
  }

  /** Why this host cannot serve these DVIPAs in place of those before; empty: it can. */
  refusals(dvipas: readonly string[]): string[] {
    return this.cache.dvipas
      .filter(({ address }) => !dvipas.includes(address))
      .map(
        ({ address }) =>
          `dvipas: ${address} is given to this host by the routing host; take this host from its targets there first`,
      );
  }

  /** Other DVIPAs of this host's own configuration. There must be no `refusals`. What the routing host has of new ones is asked for. */
  configure(dvipas: readonly string[]): void {
    this.cache.configure(dvipas);
    this.#configured.clear();
    for (const dvipa of dvipas) this.#configured.add(addressOf(dvipa));
    for (const dvipa of dvipas) {
      if (!this.cache.serves(dvipa)) this.relations.session?.send('dvipa-wanted', { dvipa });
    }
  }

  /** Call it about every 50 ms. */
  tick(now: number): void {
    this.outbound.tick(now);
    this.lookAlikes.tick(now);
    this.clearText.tick(now);
    this.opened.tick(now);
    this.acquiring.tick(now);
    this.overrun.look(this.#ports.drops.get('receive-overrun'), now);
  }

  /** Stops its timers and wipes all keys. */
  close(): void {
    this.relations.close();
    this.reports.close();
    this.listeners.close();
    this.load.close();
    this.cache.clear();
  }

  #fromLink(packets: PacketVector, protocol: number, epoch: number): void {
    const { relations, cache } = this;
    this.#arrivedAt = this.#ports.clock.now();
    if (protocol === LINK_PROTOCOL.SEALED) {
      this.sealedInbound.run(packets, epoch, relations.link?.epoch ?? 0);
      this.reports.flowsChanged();
      return;
    }
    const isExtended = protocol === LINK_PROTOCOL.OUTER_EXTENDED;
    const { link } = relations;
    this.inbound.run(
      packets,
      epoch,
      link?.epoch ?? 0,
      cache.addresses,
      link?.floor ?? NO_DISPATCHES,
      isExtended,
    );
    this.reports.inboundHandled(this.inbound.touched);
  }

  #tellDvipas(): void {
    const leases = [...this.cache.services].flatMap(({ sourcePorts }) => sourcePorts ?? []);
    this.#ports.onSourcePorts(leases);
    const clear = this.cache.dvipas.filter(
      ({ clearText, returnVia }) => clearText === 'distribute' && returnVia === 'direct',
    );
    this.#ports.onClearText(clear.map(({ address }) => address));
  }

  #sealedToRouter(vector: PacketVector, seal: SealVector): number {
    const { epoch, linkKeys } = this.relations;
    seal(vector, linkKeys.sealer, epoch);
    vector.linkProtocol.fill(LINK_PROTOCOL.SEALED, 0, vector.count);
    return this.#toRouter(vector);
  }

  #toRouter(vector: PacketVector): number {
    vector.target.fill(ROUTER_PEER, 0, vector.count);
    return this.#ports.link.send(vector, ROUTER_PEER, this.relations.epoch);
  }

  #sessionEpoch(): number {
    return this.relations.session === undefined ? 0 : this.relations.epoch;
  }

  #withhold(vector: PacketVector, i: number, group: number, now: number): Verdict {
    const withheld = this.resets.check(vector, i, group);
    return withheld === KEEP ? this.opened.check(vector, i, group, now) : withheld;
  }

  /** A later fragment is of a connection that the first one has shown. True: as `FlowTracker.observe`. */
  #observe(vector: PacketVector, i: number, isInbound: boolean, group: number, now: number): boolean {
    if (vector.fragment[i] === FRAGMENT.LATER) return true;
    if (group !== CLEAR_GROUP) this.clearText.protect(vector, i, isInbound);
    const key = readFlowKey(this.#key, vector, i, isInbound, group);
    return this.flows.observe(key, vector.tcpFlags[i] as number, isInbound, now);
  }
}
