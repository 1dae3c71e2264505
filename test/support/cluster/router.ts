import { type Clock, every } from '../../../src/base/clock.ts';
import { DropCounters } from '../../../src/base/verdict.ts';
import { EpochGate } from '../../../src/coupling/epoch-gate.ts';
import type { DvipaConfig, RouteConfig } from '../../../src/config/index.ts';
import type { RekeyCause } from '../../../src/agents/routing/rekey-book.ts';
import { Rekeyer, type SaNames } from '../../../src/agents/routing/rekeyer.ts';
import { type AnySa } from '../../../src/agents/routing/routing-sas.ts';
import { routingCommands } from '../../../src/agents/routing/routing-commands.ts';
import { RoutingHost } from '../../../src/agents/routing/routing-host.ts';
import { routingAnswers } from '../../../src/agents/routing/routing-snapshots.ts';
import { Cluster } from '../../../src/agents/routing/target-peers.ts';
import { PluginStore } from '../../../src/store/plugin-store.ts';
import { parseDvipaState } from '../../../src/store/state-codec.ts';
import { EventLog, recordingLog } from '../../../src/observe/event-log.ts';
import type { Log } from '../../../src/observe/log.ts';
import { DVIPA, ENDPOINT } from '../inner-packets.ts';
import type { AdminHandlers } from '../../../src/observe/admin-answers.ts';
import type { ManualClock } from '../manual-clock.ts';
import type { MemoryCharon } from './charon.ts';
import { type Network, Sink, vectorOfAll } from './network.ts';
import { CRYPTOS } from '../packet-cryptos.ts';

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
export function routeConfig(
  targets: number,
  authorised = targets,
  dvipa: Partial<DvipaConfig> = {},
): RouteConfig {
  const hosts = Array.from({ length: targets }, (_, i) => `target${i + 1}`);
  return {
    role: 'route',
    host: 'router1',
    dvipas: [
      {
        address: DVIPA,
        endpoints: [ENDPOINT],
        inboundFilter: 'bypass',
        rules: [],
        clearText: 'reject',
        returnVia: 'direct',
        distribution: 'round-robin',
        weights: {},
        affinity: 'none',
        switchBack: true,
        sourcePorts: { from: 32_768, to: 60_999, block: 1024 },
        services: [],
        targets: hosts.slice(0, authorised),
        ...dvipa,
      },
    ],
    outside: { interface: 'outside0' },
    cluster: {
      interface: 'cluster0',
      address: ROUTER_ADDRESS,
      mtu: 1500,
      couplingPort: 4754,
      linkPort: 4754,
    },
    targets: hosts.map((host, i) => ({ host, address: targetAddress(i + 1) })),
    coupling: { ca: '', certificate: '', key: '', heartbeatMs: 500, deadAfterMs: 1500 },
    charon: { vici: '', plugin: '' },
    connectionTable: { entries: 65_536 },
    lifesize: { percentage: 10 },
    verification: { perSecond: 10_000 },
    stamping: 'on',
    link: { driver: 'auto' },
    polling: { pause: 0 },
    offloads: { gso: true, gro: true, tun: true },
    crypto: { library: 'auto' },
    workers: 'auto',
    trustedLink: 'sealed',
    admin: {} as RouteConfig['admin'],
    log: {} as RouteConfig['log'],
  };
}

/** Asks the test's charon, not a real one. */
class MemoryRekeyer extends Rekeyer {
  readonly asked: { readonly entry: AnySa; readonly cause: RekeyCause }[] = [];
  readonly expired: AnySa[] = [];

  readonly #clock: Clock;

  constructor(options: ConstructorParameters<typeof Rekeyer>[0]) {
    super(options);
    this.#clock = options.clock;
  }

  override namesOf({ sa }: AnySa): SaNames {
    return { ike: 'dvipa', child: 'web', peer: `client${sa.group}` };
  }

  override request(entry: AnySa, cause: RekeyCause): void {
    entry.isRekeying = true;
    entry.rekeys.set(cause, { at: this.#clock.now(), isTaken: true, attempts: 1 });
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
  readonly stamping?: 'on' | 'off' | undefined;
  /** Settings of the DVIPA that are not the usual ones. */
  readonly dvipa?: Partial<DvipaConfig> | undefined;
  /** A datagram on its way to a client. */
  readonly toOutside: (datagram: Buffer) => void;
}

/** One life of a routing agent: its `RoutingHost`, over memory in place of sockets. */
export class MemoryRouter {
  readonly drops = new DropCounters();
  readonly cluster: Cluster;
  readonly gate: EpochGate;
  readonly rekeyer: MemoryRekeyer;
  readonly host: RoutingHost;
  /** What its admin socket would answer. */
  readonly answers: AdminHandlers;
  config: RouteConfig;
  readonly commands: ReturnType<typeof routingCommands>;
  readonly events = new EventLog({ instance: '00112233445566ff', wallClock: () => 0 });
  isUp = true;
  readonly #options: RouterOptions;
  readonly #stops: (() => void)[] = [];
  readonly #captured: Buffer[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
    const { clock, charon, network } = options;
    const { drops } = this;
    const snapshot = charon.snapshot();
    const log = recordingLog(silent, this.events);
    const stored = snapshot.states.get(DVIPA);
    const state = stored === undefined ? undefined : parseDvipaState(stored);
    const epoch = 1 + (state?.epoch ?? 0);
    const store = new PluginStore(charon.statePort);
    if (state !== undefined) store.restoredDvipa(DVIPA, state);
    void store.putEpoch(DVIPA, epoch);
    this.gate = new EpochGate(epoch, (raised) => store.putEpoch(DVIPA, raised));
    const config = routeConfig(options.targets, options.authorised, options.dvipa);
    this.config = config;
    this.cluster = new Cluster(config);
    const link = network.openLink(ROUTER_ADDRESS);
    for (const { index, address } of this.cluster.peers) link.setPeer(index, address);
    const plugin = charon.requester;
    this.rekeyer = new MemoryRekeyer({ charon: plugin, plugin, log, clock });
    const raw = new Sink((datagram) => options.toOutside(datagram));
    this.host = new RoutingHost({
      clock,
      log,
      drops,
      cluster: this.cluster,
      link,
      limits: { outside: 1500, cluster: 1500 },
      raw,
      store,
      rekeyer: this.rekeyer,
      plugin,
      epoch: () => this.gate.epoch,
      percentage: 10,
      allowsStamping: options.stamping !== 'off',
      cryptos: CRYPTOS,
      verificationsPerSecond: 10_000,
      hashSeed: Buffer.alloc(8, 7),
    });
    const { cluster, rekeyer, host } = this;
    if (state !== undefined) host.drains.restored(DVIPA, state);
    const parts = {
      config,
      now: () => clock.now(),
      epoch: () => this.gate.epoch,
      cluster,
      charon: { isConnected: true, instance: charon.instance, version: undefined, plugin: undefined },
      rekeyer,
      host,
      drops,
      link,
      raw,
    };
    this.answers = routingAnswers(parts);
    this.commands = routingCommands(parts, this.events);
    const { lifecycle } = host;
    const housekeeping = every(clock, 50, () => this.host.tick(clock.now()));
    this.#stops.push(
      () => housekeeping.cancel(),
      () => void link.close(),
      () => this.host.close(),
    );
    charon.listener = (change) => lifecycle.change(charon.instance, change);
    lifecycle.snapshot(snapshot);
  }

  /** As `dvipa reload` with such a configuration: what is refused; nothing if it goes by it. */
  reload(config: RouteConfig): string[] {
    const { reconfiguration } = this.host;
    const refusals = reconfiguration.refusals(config);
    if (refusals.length > 0) return refusals;
    this.config = config;
    void reconfiguration.apply(config);
    return [];
  }

  get sas() {
    return this.host.sas;
  }

  get distributor() {
    return this.host.distributor;
  }

  get lifesize() {
    return this.host.lifesize;
  }

  get numbering() {
    return this.host.numbering;
  }

  get inbound() {
    return this.host.inbound;
  }

  get funnel() {
    return this.host.funnel;
  }

  get lifecycle() {
    return this.host.lifecycle;
  }

  get sessions() {
    return this.host.sessions;
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
