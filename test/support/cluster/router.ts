import { every } from '../../../src/base/clock.ts';
import { DropCounters } from '../../../src/base/verdict.ts';
import { Distributor } from '../../../src/connections/distributor.ts';
import { EpochGate } from '../../../src/coupling/epoch-gate.ts';
import type { RouteConfig } from '../../../src/config/index.ts';
import { LifesizeRunner } from '../../../src/agents/routing/lifesize-runner.ts';
import { NumberingRunner } from '../../../src/agents/routing/numbering-runner.ts';
import { type RekeyCause, Rekeyer } from '../../../src/agents/routing/rekeyer.ts';
import { type AnySa, RoutingSas } from '../../../src/agents/routing/routing-sas.ts';
import { SaLifecycle } from '../../../src/agents/routing/sa-lifecycle.ts';
import { Cluster } from '../../../src/agents/routing/target-peers.ts';
import { TargetSessions } from '../../../src/agents/routing/target-sessions.ts';
import { Funnel } from '../../../src/dataplane/funnel.ts';
import { LINK_PROTOCOL } from '../../../src/dataplane/ports.ts';
import { RoutingInbound } from '../../../src/dataplane/routing-inbound.ts';
import { PluginStore } from '../../../src/store/plugin-store.ts';
import { parseDvipaState } from '../../../src/store/state-codec.ts';
import type { PluginSession } from '../../../src/vici/index.ts';
import type { Log } from '../../../src/observe/log.ts';
import { DVIPA, ENDPOINT, ip } from '../inner-packets.ts';
import type { ManualClock } from '../manual-clock.ts';
import type { MemoryCharon } from './charon.ts';
import { type Network, Sink, vectorOfAll } from './network.ts';

export const ROUTER_ADDRESS = '198.51.100.1';
export const targetAddress = (n: number) => `198.51.100.${10 + n}`;

export const silent: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silent,
};

/** The configuration of the lab, for `targets` targets, of which the first `authorised` serve the DVIPA. */
export function routeConfig(targets: number, authorised = targets): RouteConfig {
  const hosts = Array.from({ length: targets }, (_, i) => `target${i + 1}`);
  return {
    role: 'route',
    host: 'router1',
    dvipas: [
      {
        address: DVIPA,
        endpoint: ENDPOINT,
        inboundFilter: 'bypass',
        rules: [],
        distribution: 'round-robin',
        targets: hosts.slice(0, authorised),
      },
    ],
    outside: { interface: 'outside0' },
    cluster: { interface: 'cluster0', address: ROUTER_ADDRESS, couplingPort: 4754, linkPort: 4754 },
    targets: hosts.map((host, i) => ({ host, address: targetAddress(i + 1) })),
    coupling: { ca: '', certificate: '', key: '', heartbeatMs: 500, deadAfterMs: 1500 },
    charon: { vici: '', plugin: '' },
    lifesize: { percentage: 10 },
    trustedLink: 'sealed',
    admin: {} as RouteConfig['admin'],
    log: {} as RouteConfig['log'],
  };
}

/** Asks the test's charon, not a real one. */
class MemoryRekeyer extends Rekeyer {
  readonly asked: { readonly entry: AnySa; readonly cause: RekeyCause }[] = [];
  readonly expired: AnySa[] = [];

  override request(entry: AnySa, cause: RekeyCause): void {
    entry.isRekeying = true;
    this.asked.push({ entry, cause });
  }

  override expire(entry: AnySa): void {
    this.expired.push(entry);
  }

  override refreshNames(): void {}
}

export interface RouterOptions {
  readonly clock: ManualClock;
  readonly charon: MemoryCharon;
  readonly network: Network;
  readonly targets: number;
  readonly authorised: number;
  /** A datagram on its way to a client. */
  readonly toOutside: (datagram: Buffer) => void;
}

/** One life of a routing agent: the real classes as `routing-agent.ts` joins them, over memory in place of sockets. */
export class MemoryRouter {
  readonly drops = new DropCounters();
  readonly cluster: Cluster;
  readonly sas = new RoutingSas();
  readonly distributor = new Distributor({ seed: Buffer.alloc(8, 7) });
  readonly rekeyer: MemoryRekeyer;
  readonly lifesize: LifesizeRunner;
  readonly numbering: NumberingRunner;
  readonly inbound: RoutingInbound;
  readonly funnel: Funnel;
  readonly lifecycle: SaLifecycle;
  readonly sessions: TargetSessions;
  readonly gate: EpochGate;
  isUp = true;
  readonly #options: RouterOptions;
  readonly #stops: (() => void)[] = [];
  readonly #captured: Buffer[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
    const { clock, charon, network } = options;
    const log = silent;
    const snapshot = charon.snapshot();
    const stored = snapshot.states.get(DVIPA);
    const epoch = 1 + (stored === undefined ? 0 : (parseDvipaState(stored)?.epoch ?? 0));
    const store = new PluginStore(charon.statePort);
    void store.putDvipa(DVIPA, { epoch });
    this.gate = new EpochGate(epoch, (raised) => store.putDvipa(DVIPA, { epoch: raised }));
    this.cluster = new Cluster(routeConfig(options.targets, options.authorised));
    const { cluster, sas, distributor, drops } = this;
    for (const { address } of cluster.dvipas.values()) distributor.addDvipa(address);
    const link = network.openLink(ROUTER_ADDRESS);
    for (const { index, address } of cluster.peers) link.setPeer(index, address);
    const plugin = charon.requester;
    this.rekeyer = new MemoryRekeyer({ charon: plugin, plugin, log, clock });
    const { rekeyer } = this;
    this.lifesize = new LifesizeRunner({ clock, log, sas, cluster, plugin, rekeyer });
    this.inbound = new RoutingInbound({
      sad: sas.inbound,
      addresses: { dvipas: new Set([ip(DVIPA)]), endpoints: new Set([ip(ENDPOINT)]) },
      peek: sas.peeker,
      distributor,
      link,
      drops,
      nextDispatch: (target) => cluster.peers[target]?.nextDispatch() ?? 0,
      epoch: () => this.gate.epoch,
    });
    this.lifecycle = new SaLifecycle({
      clock,
      log,
      drops,
      cluster,
      sas,
      store,
      plugin: () => ({ session: plugin }) as unknown as PluginSession,
      epoch: () => this.gate.epoch,
      ownerSince: clock.now(),
      percentage: 10,
      numbering: () => this.numbering,
      lifesize: () => this.lifesize,
      rekeyer: () => rekeyer,
      inbound: () => this.inbound,
      funnel: () => this.funnel,
      distributor,
    });
    const { lifecycle, lifesize } = this;
    this.numbering = new NumberingRunner({
      clock,
      log,
      sas,
      cluster,
      store,
      rekeyer,
      funnel: () => this.funnel,
      install: (entry, peer) => lifecycle.install(entry, peer),
    });
    const { numbering } = this;
    this.funnel = new Funnel({
      sad: sas.outbound,
      crypto: sas.sealing,
      raw: new Sink((datagram) => options.toOutside(datagram)),
      drops,
      onNumbering: (entry) => {
        numbering.changed(entry);
        lifesize.funnelUsed(entry);
      },
    });
    link.onReceive((packets, index, protocol, carried) => {
      const peer = cluster.peers[index];
      if (peer === undefined || protocol !== LINK_PROTOCOL.SEALED) return;
      const from = { host: peer.host, dvipas: peer.dvipas, opener: peer.linkKeys.opener };
      const counter = this.funnel.run(packets, from, carried, this.gate.epoch, clock.now());
      if (counter > 0) this.numbering.linkUsed(peer.host, counter, clock.now());
    });
    const sessionsOptions = {
      clock,
      log,
      drops,
      cluster,
      sas,
      lifecycle,
      numbering,
      lifesize,
      distributor,
    };
    this.sessions = new TargetSessions(sessionsOptions);
    const housekeeping = every(clock, 50, () => {
      this.inbound.tick(clock.now());
      this.funnel.tick(clock.now());
      distributor.table.sweep(clock.now());
    });
    this.#stops.push(
      () => housekeeping.cancel(),
      () => lifesize.close(),
      () => numbering.close(),
      () => void link.close(),
      () => sas.clear(),
    );
    charon.listener = (change) => lifecycle.change(charon.instance, change);
    lifecycle.snapshot(snapshot);
  }

  /** A datagram of the outside network. */
  captured(datagram: Buffer): void {
    this.#captured.push(datagram);
  }

  /** Routes what was captured, as one vector. */
  deliver(): void {
    const packets = this.#captured.splice(0);
    if (this.isUp && packets.length > 0) this.inbound.run(vectorOfAll(packets), this.#options.clock.now());
  }

  /** As after kill -9: nothing is said to anybody. */
  kill(): void {
    this.isUp = false;
    this.#options.charon.listener = undefined;
    for (const stop of this.#stops) stop();
  }
}
