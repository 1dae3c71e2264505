import { randomBytes } from 'node:crypto';
import { every, systemClock } from '../../base/clock.ts';
import { DropCounters } from '../../base/verdict.ts';
import type { RouteConfig } from '../../config/index.ts';
import { HASH_SEED_BYTES } from '../../connections/connection-key.ts';
import { LARGE_SLOT_BYTES, PacketVector, slotBytesFor } from '../../dataplane/vector.ts';
import { startAdminServer } from '../../io/admin-server.ts';
import { captureFilter } from '../../io/bpf.ts';
import { Capture } from '../../io/capture.ts';
import { CouplingServer } from '../../io/coupling-server.ts';
import { AGENT_MARK } from '../../io/guard-constants.ts';
import { DgramLink } from '../../io/link-dgram.ts';
import { RawSocket } from '../../io/raw-socket.ts';
import { RouterGuard } from '../../io/router-guard.ts';
import { writeSecretFile } from '../../io/secret-file.ts';
import { readCredentials } from '../../io/tls-options.ts';
import { recordingLog } from '../../observe/event-log.ts';
import type { Log } from '../../observe/log.ts';
import { packageVersion } from '../../observe/version.ts';
import { PluginStore } from '../../store/plugin-store.ts';
import { reportDrops } from '../drop-reports.ts';
import { newEventLog } from '../events-answer.ts';
import { captureAnswer } from '../capture-answers.ts';
import { keepGuard } from '../keep-guard.ts';
import { pathLimits } from '../path-limits.ts';
import { pluginStatePort } from '../plugin-sa.ts';
import { type RunningAgent, StopList } from '../running-agent.ts';
import { routingTraceAnswer } from '../trace-answers.ts';
import { AddressSet } from '../../packet/address-map.ts';
import { addressOf } from '../sa-settings.ts';
import { CharonLink } from './charon-link.ts';
import { KEYS_EXPORT, keyExport } from './key-export.ts';
import { Rekeyer } from './rekeyer.ts';
import { routingCommands } from './routing-commands.ts';
import { RoutingHost } from './routing-host.ts';
import { routingAnswers } from './routing-snapshots.ts';
import { Cluster } from './target-peers.ts';

const VECTOR_PACKETS = 256;
/** Vectors read from the capture before other sources get their turn. */
const VECTORS_PER_TURN = 4;
const HOUSEKEEPING_MS = 50;
const GUARD_CHECK_MS = 5000;

/**
 * Runs a routing host: guard first, then capture and link, then charon; the targets are let in when the epoch is
 * stored. Rejects if something it needs on this host is not there; waits for charon as long as it takes.
 */
export async function startRoutingAgent(config: RouteConfig, log: Log): Promise<RunningAgent> {
  const stops = new StopList();
  try {
    await start(config, log, stops);
    return stops;
  } catch (error) {
    await stops.close().catch(() => {});
    throw error;
  }
}

async function start(config: RouteConfig, given: Log, stops: StopList): Promise<void> {
  const clock = systemClock;
  const events = newEventLog();
  const log = recordingLog(given, events);
  const drops = new DropCounters();
  const cluster = new Cluster(config);
  const tls = await readCredentials(config.coupling);
  const dvipas = config.dvipas.map(({ address }) => address);
  const endpoints = [...new Set(config.dvipas.flatMap((dvipa) => dvipa.endpoints))];
  const addresses = {
    dvipas: new AddressSet(dvipas.map(addressOf)),
    endpoints: new AddressSet(endpoints.map(addressOf)),
  };

  const { cluster: network } = config;
  const answering = config.dvipas.filter(
    ({ clearText, returnVia }) => clearText === 'distribute' && returnVia === 'router',
  );
  const guard = new RouterGuard({
    dvipas,
    endpoints,
    clear: answering.map(({ address }) => address),
    trustedLink: { interface: network.interface, address: network.address, port: network.linkPort },
  });
  await guard.install();
  stops.add(() => guard.remove());
  const filter = captureFilter({ dvipas: dvipas.map(addressOf), endpoints: endpoints.map(addressOf) });
  const capture = Capture.open(config.outside.interface, filter);
  stops.add(() => capture.close());
  const raw = RawSocket.open({ mark: AGENT_MARK });
  stops.add(() => raw.close());
  const link = await DgramLink.open({
    address: config.cluster.address,
    port: config.cluster.linkPort,
    drops,
  });
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
    addresses,
    link,
    raw,
    limits,
    store,
    rekeyer,
    plugin,
    epoch: () => charon.epoch,
    percentage: config.lifesize.percentage,
    allowsStamping: config.stamping === 'on',
    verificationsPerSecond: config.verification.perSecond,
    hashSeed: randomBytes(HASH_SEED_BYTES),
    connectionEntries: config.connectionTable.entries,
  });
  const { lifecycle, sessions, inbound } = host;
  stops.add(() => host.close());
  stops.add(() => rekeyer.close());
  stops.add(() => charon.close());

  // TCP in clear may come as many segments in one, joined by a sender on this machine or by the kernel.
  const distributesClear = config.dvipas.some(({ clearText }) => clearText === 'distribute');
  const slotBytes = distributesClear ? LARGE_SLOT_BYTES : slotBytesFor(limits.outside);
  const captured = new PacketVector(VECTOR_PACKETS, slotBytes);
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
  const guardCheck = every(clock, GUARD_CHECK_MS, () => {
    keepGuard(guard, log).catch((error: unknown) => stops.fail(error));
    link.countLosses().catch(() => {});
  });
  stops.add(() => guardCheck.cancel());

  charon.start({
    lifecycle,
    store,
    onNames: () => rekeyer.refreshNames(),
    onRestored: (dvipa, state) => host.drains.restored(dvipa, state),
    onOwner: async (epochs) => {
      const server = new CouplingServer({
        address: config.cluster.address,
        port: config.cluster.couplingPort,
        tls,
        host: config.host,
        isTarget: (host) => cluster.peer(host) !== undefined,
        epochs,
        drops,
        handlers: sessions,
        times: {
          heartbeatMs: config.coupling.heartbeatMs,
          deadAfterMs: config.coupling.deadAfterMs,
          helloTimeoutMs: 5000,
        },
        onRefused: ({ reason, address, message }) =>
          log.warn('coupling connection refused', { reason, address, error: message }),
        onEnded: (target, reason, error) => log.info('coupling session ended', { target, reason, error }),
      });
      stops.add(() => server.close());
      await server.listen();
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
  };
  const exported = keyExport({ config: config.keysExport, sas: host.sas, log, write: writeSecretFile });
  const trace = routingTraceAnswer(
    host.trace,
    () => clock.now(),
    (target) => cluster.peers[target]?.host ?? String(target),
  );
  const admin = await startAdminServer(config.admin.socket, {
    ...routingAnswers(parts),
    ...routingCommands(parts, events),
    [KEYS_EXPORT]: exported,
    trace,
    capture: captureAnswer(host.tap, log),
  });
  stops.add(() => admin.close());
  log.info('routing agent started', { role: 'route', version: packageVersion(), event: 'agent-started' });
}
