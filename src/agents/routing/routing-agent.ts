import { randomBytes } from 'node:crypto';
import { every, systemClock } from '../../base/clock.ts';
import { DropCounters } from '../../base/verdict.ts';
import type { RouteConfig } from '../../config/index.ts';
import { HASH_SEED_BYTES } from '../../connections/connection-key.ts';
import { LARGE_SLOT_BYTES, PacketVector, slotBytesFor } from '../../dataplane/vector.ts';
import { startAdminServer } from '../../io/admin-server.ts';
import { Capture } from '../../io/capture.ts';
import { CouplingServer } from '../../io/coupling-server.ts';
import { AGENT_MARK, RUNS_PORT } from '../../io/guard-constants.ts';
import { setPause } from '../../io/pause.ts';
import { RawSocket } from '../../io/raw-socket.ts';
import { RouterGuard } from '../../io/router-guard.ts';
import { writeSecretFile } from '../../io/secret-file.ts';
import { readCredentials } from '../../io/tls-options.ts';
import { recordingLog } from '../../observe/event-log.ts';
import type { Log } from '../../observe/log.ts';
import { packageVersion } from '../../observe/version.ts';
import { PluginStore } from '../../store/plugin-store.ts';
import { sessionTimes } from '../coupling-files.ts';
import { reportDrops } from '../drop-reports.ts';
import { newEventLog } from '../events-answer.ts';
import { captureAnswer } from '../capture-answers.ts';
import { keepGuard } from '../keep-guard.ts';
import { openCrew } from '../open-crew.ts';
import { openLink } from '../open-link.ts';
import { pathLimits } from '../path-limits.ts';
import { pluginStatePort } from '../plugin-sa.ts';
import { RELOAD, reloadCommand, Reloader, type ReloadSource } from '../reload.ts';
import { tendRawSocket } from '../tend-raw-socket.ts';
import { type RunningAgent, StopList } from '../running-agent.ts';
import { routingTraceAnswer } from '../trace-answers.ts';
import { CharonLink } from './charon-link.ts';
import { KEYS_EXPORT, keyExport } from './key-export.ts';
import { Rekeyer } from './rekeyer.ts';
import { routingCommands } from './routing-commands.ts';
import { RoutingHost } from './routing-host.ts';
import { filterOf, RoutingReload, scopeOf } from './routing-reload.ts';
import { routingAnswers } from './routing-snapshots.ts';
import { Cluster } from './target-peers.ts';
import { packetCryptos } from '../packet-cryptos.ts';

const VECTOR_PACKETS = 256;
/** Vectors read from the capture before other sources get their turn. */
const VECTORS_PER_TURN = 4;
const HOUSEKEEPING_MS = 50;
const GUARD_CHECK_MS = 5000;

/**
 * Runs a routing host: guard first, then capture and link, then charon; the targets are let in when the epoch is
 * stored. Rejects if something it needs on this host is not there; waits for charon as long as it takes.
 */
export async function startRoutingAgent(
  config: RouteConfig,
  log: Log,
  source: ReloadSource<RouteConfig>,
): Promise<RunningAgent> {
  const stops = new StopList();
  try {
    const reloader = await start(config, log, source, stops);
    return stops.runningAgent(() => reloader.run(false));
  } catch (error) {
    await stops.close().catch(() => {});
    throw error;
  }
}

async function start(
  config: RouteConfig,
  given: Log,
  source: ReloadSource<RouteConfig>,
  stops: StopList,
): Promise<Reloader<RouteConfig>> {
  const clock = systemClock;
  const events = newEventLog();
  const log = recordingLog(given, events);
  const drops = new DropCounters();
  const cluster = new Cluster(config);
  const tls = await readCredentials(config.coupling);
  const { cluster: network } = config;
  const scope = scopeOf(config);
  const guard = new RouterGuard({
    ...scope,
    trustedLink: { interface: network.interface, address: network.address, port: network.linkPort },
  });
  await guard.install();
  stops.add(() => guard.remove());
  const crew = openCrew(config.workers, log);
  stops.add(() => crew.close());
  setPause(config.polling.pause);
  const capture = Capture.open(config.outside.interface, filterOf(scope), {
    wantsRing: config.offloads.gro,
    onRefused: ({ message }) =>
      log.warn('packets are captured one by one: the way for many is refused', { error: message }),
  });
  stops.add(() => capture.close());
  // Not from port 4500: charon, which must find it free whenever it starts, is on this host (ADR 29).
  const raw = RawSocket.open({ mark: AGENT_MARK, gso: config.offloads.gso, runsFrom: RUNS_PORT });
  raw.useCrew(crew);
  stops.add(() => raw.close());
  const { address, mtu, linkPort } = config.cluster;
  const link = await openLink({ config, address, mtu, port: linkPort, drops, log });
  stops.add(() => link.close());
  for (const peer of cluster.peers) link.setPeer(peer.index, peer.address);

  const limits = await pathLimits(config.outside.interface, config.cluster.mtu);
  const charon = new CharonLink({ config, clock, log });
  const store = new PluginStore(pluginStatePort(charon.plugin), (of) =>
    log.warn('stored state is doubtful', { sa: of, event: 'store-doubtful' }),
  );
  const plugin = charon.plugin.session;
  const rekeyer = new Rekeyer({ charon: charon.stock, plugin, log, clock });
  const host = new RoutingHost({
    clock,
    log,
    drops,
    cluster,
    link,
    raw,
    limits,
    store,
    rekeyer,
    plugin,
    epoch: () => charon.epoch,
    percentage: config.lifesize.percentage,
    allowsStamping: config.stamping === 'on',
    cryptos: packetCryptos(config.crypto, log, crew),
    verificationsPerSecond: config.verification.perSecond,
    hashSeed: randomBytes(HASH_SEED_BYTES),
    connectionEntries: config.connectionTable.entries,
  });
  const { lifecycle, sessions, inbound } = host;
  stops.add(() => host.close());
  stops.add(() => rekeyer.close());
  stops.add(() => charon.close());

  let captured = vectorFor(config, limits.outside);
  capture.onReadable(() => {
    for (let turn = 0; turn < VECTORS_PER_TURN; turn++) {
      captured.reset();
      if (capture.receive(captured) === 0) return;
      inbound.run(captured, clock.now());
    }
  });
  const housekeeping = every(clock, HOUSEKEEPING_MS, () => {
    host.tick(clock.now());
    capture.countLosses(drops);
  });
  stops.add(() => housekeeping.cancel());
  const dropReports = reportDrops(clock, log, drops);
  stops.add(() => dropReports.cancel());
  const keeper = keepGuard(guard, log, stops);
  const guardCheck = every(clock, GUARD_CHECK_MS, () => {
    keeper.look().catch((error: unknown) => stops.fail(error));
    tendRawSocket(raw, log);
    link.countLosses().catch(() => {});
  });
  stops.add(() => guardCheck.cancel());

  let serving = { config, tls };
  let server: CouplingServer | undefined;
  charon.start({
    lifecycle,
    store,
    onStock: () => rekeyer.charonConnected(),
    onNames: () => rekeyer.refreshNames(),
    onRestored: (dvipa, state) => host.drains.restored(dvipa, state),
    onOwner: async (epochs) => {
      server = new CouplingServer({
        address: config.cluster.address,
        port: config.cluster.couplingPort,
        tls: serving.tls,
        host: config.host,
        isTarget: (host) => cluster.peer(host) !== undefined,
        epochs,
        drops,
        handlers: sessions,
        times: sessionTimes(serving.config.coupling),
        onRefused: ({ reason, address, message }) =>
          log.warn('coupling connection refused', { reason, address, error: message }),
        onEnded: (target, reason, error) => log.info('coupling session ended', { target, reason, error }),
      });
      const { close, listen } = { close: server.close.bind(server), listen: server.listen.bind(server) };
      stops.add(close);
      await listen();
    },
    onFailure: (error) => stops.fail(error),
  });

  const parts = {
    config,
    now: () => clock.now(),
    epoch: () => charon.epoch,
    cluster,
    charon: charon.state,
    rekeyer,
    host,
    drops,
    link,
    crew,
    raw,
  };
  const exported = keyExport({
    config: () => serving.config.keysExport,
    sas: host.sas,
    log,
    write: writeSecretFile,
  });
  const running = new RoutingReload({
    log,
    config,
    tls,
    guard,
    capture,
    charon,
    store,
    reconfiguration: host.reconfiguration,
    changed: (after, credentials) => {
      if (after.keysExport !== undefined) log.warn('key export is allowed', { path: after.keysExport.file });
      serving = { config: after, tls: credentials };
      captured = vectorFor(after, limits.outside);
      server?.configure(credentials, sessionTimes(after.coupling));
    },
  });
  const reloader = new Reloader({ source, current: config, running, log });
  const trace = routingTraceAnswer(
    host.trace,
    () => clock.now(),
    (target) => cluster.peerAt(target)?.host ?? String(target),
  );
  const admin = await startAdminServer(config.admin.socket, {
    ...routingAnswers(parts),
    ...routingCommands(parts, events),
    [KEYS_EXPORT]: exported,
    trace,
    capture: captureAnswer(host.tap, log),
    [RELOAD]: reloadCommand(reloader),
  });
  stops.add(() => admin.close());
  log.info('routing agent started', { role: 'route', version: packageVersion(), event: 'agent-started' });
  return reloader;
}

/** TCP in clear may come as many segments in one, joined by a sender on this machine or by the kernel. */
function vectorFor({ dvipas }: RouteConfig, outsideMtu: number): PacketVector {
  const distributesClear = dvipas.some(({ clearText }) => clearText === 'distribute');
  return new PacketVector(VECTOR_PACKETS, distributesClear ? LARGE_SLOT_BYTES : slotBytesFor(outsideMtu));
}
