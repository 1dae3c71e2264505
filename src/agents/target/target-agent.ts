import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { every, systemClock } from '../../base/clock.ts';
import { DropCounters } from '../../base/verdict.ts';
import type { TargetConfig } from '../../config/index.ts';
import { HASH_SEED_BYTES } from '../../connections/connection-key.ts';
import { LISTENED_PORTS_MAX } from '../../coupling/limits.ts';
import { PacketVector, slotBytesFor } from '../../dataplane/vector.ts';
import { startAdminServer } from '../../io/admin-server.ts';
import { CouplingClient } from '../../io/coupling-client.ts';
import { cpuTimes } from '../../io/cpu-times.ts';
import { AGENT_MARK } from '../../io/guard-constants.ts';
import { KernelPortRange } from '../../io/kernel-ports.ts';
import { ListeningSockets } from '../../io/listening-sockets.ts';
import { MarkFile } from '../../io/mark-file.ts';
import { setPause } from '../../io/pause.ts';
import { RawSocket } from '../../io/raw-socket.ts';
import { TargetGuard } from '../../io/target-guard.ts';
import { readCredentials } from '../../io/tls-options.ts';
import { Tun } from '../../io/tun.ts';
import { recordingLog } from '../../observe/event-log.ts';
import type { Log } from '../../observe/log.ts';
import { packageVersion } from '../../observe/version.ts';
import { type RunningAgent, StopList } from '../running-agent.ts';
import { sessionTimes } from '../coupling-files.ts';
import { reportDrops } from '../drop-reports.ts';
import { newEventLog } from '../events-answer.ts';
import { captureAnswer } from '../capture-answers.ts';
import { keepGuard } from '../keep-guard.ts';
import { openCrew } from '../open-crew.ts';
import { openLink } from '../open-link.ts';
import { targetTraceAnswer } from '../trace-answers.ts';
import { pathLimits } from '../path-limits.ts';
import { RELOAD, reloadCommand, Reloader, type ReloadSource } from '../reload.ts';
import { tendRawSocket } from '../tend-raw-socket.ts';
import { KernelSourcePorts } from './source-ports.ts';
import { ROUTER_PEER, TargetHost } from './target-host.ts';
import { TargetReload } from './target-reload.ts';
import { targetCommands } from './target-commands.ts';
import { targetAnswers } from './target-snapshots.ts';
import { packetCryptos } from '../packet-cryptos.ts';

/** From each queue of the TUN: more than a large segment has. */
const VECTOR_PACKETS = 128;
/** Vectors read from the TUN before other sources get their turn. */
const VECTORS_PER_TURN = 2;
const HOUSEKEEPING_MS = 50;
const GUARD_CHECK_MS = 5000;
/** Beside the admin socket. */
const MAINTENANCE_FILE = 'maintenance';

/**
 * Runs a target: guard first, then the TUN, the link, the coupling channel, and last the DVIPA's address.
 * Rejects if something it needs is not there; what was started by then is stopped.
 */
export async function startTargetAgent(
  config: TargetConfig,
  log: Log,
  source: ReloadSource<TargetConfig>,
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
  config: TargetConfig,
  given: Log,
  source: ReloadSource<TargetConfig>,
  stops: StopList,
): Promise<Reloader<TargetConfig>> {
  const clock = systemClock;
  const events = newEventLog();
  const log = recordingLog(given, events);
  const drops = new DropCounters();
  const tls = await readCredentials(config.coupling);

  const crew = openCrew(config.workers, log);
  stops.add(() => crew.close());
  const queues = crew.stats().workers;
  const guard = new TargetGuard({
    dvipas: config.dvipas,
    tun: { ...config.tun, queues },
    links: [config.outside.interface, config.cluster.interface],
    trustedLink: { ...config.cluster, port: config.router.linkPort },
  });
  await guard.install();
  stops.add(() => guard.remove());

  setPause(config.polling.pause);
  const tun = Tun.open(config.tun.name, {
    hasOffloads: config.offloads.tun,
    onNoOffloads: ({ message }) => log.warn('the TUN works without offloads', { error: message }),
    queues,
    onOneQueue: ({ message }) =>
      log.warn('the TUN has one queue: one thread reads and writes it', { error: message }),
  });
  tun.useCrew(crew);
  stops.add(() => tun.close());
  tun.onLost(() => stops.fail(new Error(`the TUN ${config.tun.name} was deleted`)));
  const raw = RawSocket.open({ mark: AGENT_MARK, gso: config.offloads.gso });
  raw.useCrew(crew);
  stops.add(() => raw.close());
  const { address, mtu } = config.cluster;
  const link = await openLink({ config, address, mtu, port: config.router.linkPort, drops, log });
  stops.add(() => link.close());
  link.setPeer(ROUTER_PEER, config.router.address);

  const listening = new ListeningSockets({ dvipas: config.dvipas, maxPorts: LISTENED_PORTS_MAX });
  await listening.look(true); // the first report is true

  const range = new KernelPortRange();
  stops.add(() => range.restore());
  const sourcePorts = new KernelSourcePorts({ log, range, isManaged: config.sourcePorts.manage });

  let guarding = Promise.resolve();
  const host = new TargetHost({
    clock,
    log,
    drops,
    dvipas: config.dvipas,
    link,
    tun,
    raw,
    limits: await pathLimits(config.outside.interface, config.cluster.mtu),
    cryptos: packetCryptos(config.crypto, log, crew),
    listening,
    cpuTimes,
    onClearText: (dvipas) => {
      // One after the other: the last word counts.
      guarding = guarding.then(() => guard.allowClear(dvipas)).catch((error: unknown) => stops.fail(error));
    },
    onSourcePorts: (leases) => void sourcePorts.changed(leases),
    maintenanceMark: new MarkFile(join(dirname(config.admin.socket), MAINTENANCE_FILE)),
    hashSeed: randomBytes(HASH_SEED_BYTES),
  });
  stops.add(() => host.close());
  const { cache, relations, inbound, delivery, sealedInbound, clearText, outbound, flows, maintenance } =
    host;

  const fromTun = new PacketVector(VECTOR_PACKETS * tun.queues, slotBytesFor(config.tun.mtu));
  tun.onReadable(() => {
    for (let turn = 0; turn < VECTORS_PER_TURN; turn++) {
      fromTun.reset();
      if (tun.receive(fromTun) === 0) return;
      host.send(fromTun);
    }
  });
  const housekeeping = every(clock, HOUSEKEEPING_MS, () => {
    host.tick(clock.now());
    tun.countLosses(drops);
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

  const client = new CouplingClient({
    router: { host: config.router.host, address: config.router.address, port: config.router.couplingPort },
    tls,
    host: config.host,
    incarnation: BigInt(Date.now()) * 1000n + BigInt(process.pid % 1000),
    drops,
    handlers: relations,
    times: sessionTimes(config.coupling),
    onFailure: (reason, error) => log.debug('no coupling session', { reason, error }),
  });
  client.start();
  stops.add(() => client.stop());

  await guard.addAddresses();
  stops.add(() => guard.removeAddresses());
  const startedAt = clock.now();
  const answers = targetAnswers({
    config,
    startedAt,
    now: () => clock.now(),
    cache,
    relations,
    inbound,
    delivery,
    sealedInbound,
    clearText,
    outbound,
    flows,
    maintenance,
    listening,
    drops,
    overrun: host.overrun,
    link,
    crew,
    raw,
  });
  const running = new TargetReload({ config, tls, guard, listening, sourcePorts, host, client });
  const reloader = new Reloader({ source, current: config, running, log });
  const admin = await startAdminServer(config.admin.socket, {
    ...answers,
    ...targetCommands({ maintenance, flows, host: config.host }, events),
    trace: targetTraceAnswer(host.trace, () => clock.now()),
    capture: captureAnswer(host.tap, log),
    [RELOAD]: reloadCommand(reloader),
  });
  stops.add(() => admin.close());
  log.info('target agent started', { role: 'target', version: packageVersion(), event: 'agent-started' });
  return reloader;
}
