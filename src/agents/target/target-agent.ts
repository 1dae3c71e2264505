import { randomBytes } from 'node:crypto';
import { every, systemClock } from '../../base/clock.ts';
import { DropCounters } from '../../base/verdict.ts';
import type { TargetConfig } from '../../config/index.ts';
import { type ConnectionKey, HASH_SEED_BYTES, newConnectionKey } from '../../connections/connection-key.ts';
import { FlowTracker } from '../../connections/flow-tracker.ts';
import { LINK_PROTOCOL } from '../../dataplane/ports.ts';
import { TargetInbound } from '../../dataplane/target-inbound.ts';
import { TargetOutbound } from '../../dataplane/target-outbound.ts';
import { PacketVector } from '../../dataplane/vector.ts';
import { startAdminServer } from '../../io/admin-server.ts';
import { CouplingClient } from '../../io/coupling-client.ts';
import { AGENT_MARK } from '../../io/guard-constants.ts';
import { DgramLink } from '../../io/link-dgram.ts';
import { RawSocket } from '../../io/raw-socket.ts';
import { TargetGuard } from '../../io/target-guard.ts';
import { readCredentials } from '../../io/tls-options.ts';
import { Tun } from '../../io/tun.ts';
import type { Log } from '../../observe/log.ts';
import { type RunningAgent, StopList } from '../running-agent.ts';
import { addressNumber } from '../sa-settings.ts';
import { keepGuard } from '../keep-guard.ts';
import { sealForFunnel } from './funnel-sender.ts';
import { ShadowCache } from './shadow-cache.ts';
import { TargetReports } from './target-reports.ts';
import { TargetRelations } from './target-session.ts';
import { targetAnswers } from './target-snapshots.ts';

/** The routing host's number on the link; a target has one peer. */
const ROUTER_PEER = 0;
const VECTOR_PACKETS = 64;
/** Vectors read from the TUN before other sources get their turn. */
const VECTORS_PER_TURN = 4;
const HOUSEKEEPING_MS = 50;
const GUARD_CHECK_MS = 5000;

/**
 * Runs a target: guard first, then the TUN, the link, the coupling channel, and last the DVIPA's address.
 * Rejects if something it needs is not there; what was started by then is stopped.
 */
export async function startTargetAgent(config: TargetConfig, log: Log): Promise<RunningAgent> {
  const stops = new StopList();
  try {
    await start(config, log, stops);
    return stops;
  } catch (error) {
    await stops.close().catch(() => {});
    throw error;
  }
}

async function start(config: TargetConfig, log: Log, stops: StopList): Promise<void> {
  const clock = systemClock;
  const drops = new DropCounters();
  const tls = await readCredentials(config.coupling);

  const guard = new TargetGuard({
    dvipas: config.dvipas,
    tun: config.tun,
    links: [config.outside.interface, config.cluster.interface],
  });
  await guard.install();
  stops.add(() => guard.remove());

  const tun = Tun.open(config.tun.name);
  stops.add(() => tun.close());
  tun.onLost(() => stops.fail(new Error(`the TUN ${config.tun.name} was deleted`)));
  const raw = RawSocket.open({ mark: AGENT_MARK });
  stops.add(() => raw.close());
  const link = await DgramLink.open({ address: config.cluster.address, port: config.router.linkPort, drops });
  stops.add(() => link.close());
  link.setPeer(ROUTER_PEER, config.router.address);

  const cache = new ShadowCache(config.dvipas);
  stops.add(() => cache.clear());
  const flows = new FlowTracker({ seed: randomBytes(HASH_SEED_BYTES) });
  const reports = new TargetReports(clock, cache, flows);
  stops.add(() => reports.close());
  const relations = new TargetRelations({ clock, log, drops, cache, reports, outbound: () => outbound });
  stops.add(() => relations.close());

  const key = newConnectionKey();
  const inbound = new TargetInbound({
    sad: cache.inbound,
    crypto: cache.opening,
    tun,
    drops,
    onAuthenticated: (vector, i, entry) => {
      flows.observe(
        readKey(key, vector, i, true, entry.sa.reqid),
        vector.tcpFlags[i] as number,
        true,
        clock.now(),
      );
    },
    onReportDue: (entry) => reports.numbersDue(entry),
  });
  const outbound = new TargetOutbound({
    sad: cache.outbound,
    crypto: cache.sealing,
    raw,
    drops,
    dvipas: new Set(config.dvipas.map(addressNumber)),
    sendToFunnel: (vector) => {
      sealForFunnel(vector, cache.outbound, relations.linkKeys.sealer, relations.epoch);
      vector.target.fill(ROUTER_PEER, 0, vector.count);
      link.send(vector, ROUTER_PEER, LINK_PROTOCOL.SEALED, relations.epoch);
    },
    onNumbering: (entry) => relations.numberingChanged(entry),
    onOutbound: (vector, i, entry) => {
      flows.observe(
        readKey(key, vector, i, false, entry.sa.reqid),
        vector.tcpFlags[i] as number,
        false,
        clock.now(),
      );
    },
  });

  link.onReceive((packets, _peer, protocol, epoch) => {
    if (protocol !== LINK_PROTOCOL.OUTER_IPV4) {
      drops.count('link-unknown-kind', packets.count);
      return;
    }
    inbound.run(packets, epoch, relations.epoch, cache.addresses, relations.floor);
    reports.inboundHandled(inbound.touched);
  });
  const fromTun = new PacketVector(VECTOR_PACKETS);
  tun.onReadable(() => {
    for (let turn = 0; turn < VECTORS_PER_TURN; turn++) {
      fromTun.reset();
      if (tun.receive(fromTun) === 0) break;
      outbound.run(fromTun, clock.now());
    }
    reports.flowsChanged();
  });
  const housekeeping = every(clock, HOUSEKEEPING_MS, () => {
    outbound.tick(clock.now());
    tun.countLosses(drops);
  });
  stops.add(() => housekeeping.cancel());
  const guardCheck = every(clock, GUARD_CHECK_MS, () => {
    keepGuard(guard, log).catch((error: unknown) => stops.fail(error));
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
    times: {
      heartbeatMs: config.coupling.heartbeatMs,
      deadAfterMs: config.coupling.deadAfterMs,
      helloTimeoutMs: 5000,
    },
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
    outbound,
    flows,
    drops,
  });
  const admin = await startAdminServer(config.admin.socket, { ...answers });
  stops.add(() => admin.close());
  log.info('target agent started', { role: 'target' });
}

/** The connection of packet `i` as seen from the peer. */
function readKey(
  key: ConnectionKey,
  vector: PacketVector,
  i: number,
  isInbound: boolean,
  reqid: number,
): ConnectionKey {
  key.reqid = reqid;
  key.protocol = vector.protocol[i] as number;
  key.dvipa = (isInbound ? vector.innerDestination : vector.innerSource)[i] as number;
  key.source = (isInbound ? vector.innerSource : vector.innerDestination)[i] as number;
  key.sourcePort = (isInbound ? vector.sourcePort : vector.destinationPort)[i] as number;
  key.destinationPort = (isInbound ? vector.destinationPort : vector.sourcePort)[i] as number;
  return key;
}
