import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { askAgent } from '../agent.ts';
import { type Capture, type CaptureResult, startCapture } from '../capture.ts';
import { countRekeys } from '../charon-log.ts';
import { findEspRepeats } from '../esp-repeats.ts';
import type { Host } from '../host.ts';
import type { Lab } from '../lab.ts';
import { readPcap } from '../pcap.ts';
import { classifyCluster, classifyOutside, countClasses, countPacketsWith } from '../wire-class.ts';
import type { Measurement } from './checks.ts';
import { download, newMarker, requestMany, requestUntil } from './traffic.ts';

export interface MeasureOptions {
  /** Start of the capture files' names. */
  readonly name: string;
  readonly connections: number;
  readonly downloadBytes: number;
  readonly downloadSeconds: number;
  readonly requestSeconds?: number;
  /** Bring the tunnels up while the captures run. */
  readonly initiates: boolean;
  readonly progress: (line: string) => void;
}

const TUN = 'dvipa0';

/** Runs the main job once, with captures running from before the first IKE packet to after the last answer. */
export async function measure(lab: Lab, options: MeasureOptions): Promise<Measurement> {
  const { dvipa } = lab.scenario;
  const { progress } = options;
  const [first, second] = lab.hostsOf('client');
  if (first === undefined || second === undefined) throw new Error('the demo needs two clients');
  const captures = await startCaptures(lab, options.name);
  const logFrom = readFileSync(lab.router.logFile('charon')).length;
  if (options.initiates) {
    for (const client of lab.hostsOf('client')) {
      progress(`tunnel of ${client.name}`);
      await lab.initiate(client.name);
    }
  }

  progress(`${options.connections} HTTP connections`);
  const half = Math.ceil(options.connections / 2);
  const one = await requestMany(first, dvipa, half, options.requestSeconds);
  const two = await requestMany(second, dvipa, options.connections - half, options.requestSeconds);

  progress(
    `download of ${(options.downloadBytes / 1e6).toFixed(0)} MB, with requests of the other client meanwhile`,
  );
  const marker = newMarker(`${options.name} ${process.pid} ${performance.timeOrigin}`);
  let isOver = false;
  const meanwhile = requestUntil(second, dvipa, () => isOver, options.requestSeconds);
  const downloaded = await download(first, dvipa, options.downloadBytes, marker, options.downloadSeconds);
  isOver = true;
  const during = await meanwhile;

  progress('captures are judged');
  const results = await stopCaptures(captures);
  const log = readFileSync(lab.router.logFile('charon')).subarray(logFrom).toString('utf8');
  const outside = readPcap(results.outside.file);
  const cluster = readPcap(results.cluster.file);
  const tuns = results.tuns.map(({ file }) => readPcap(file));
  const all = [results.outside, results.cluster, ...results.tuns];
  return {
    connections: options.connections,
    perTarget: addUp([one.perTarget, two.perTarget]),
    failedRequests: one.failed + two.failed + during.failed,
    requestsDuringDownload: during.made,
    download: downloaded,
    outside: countClasses(outside, classifyOutside),
    cluster: countClasses(cluster, classifyCluster),
    markerOnWires: countPacketsWith(outside, marker) + countPacketsWith(cluster, marker),
    markerOnTuns: tuns.reduce((sum, tun) => sum + countPacketsWith(tun, marker), 0),
    espRepeats: findEspRepeats(outside).repeats.length,
    lostByCaptures: all.reduce((sum, { droppedByKernel }) => sum + droppedByKernel, 0),
    ...rekeysOf(log),
    ...(await openedBy(lab)),
    drops: addUp(await Promise.all(agentsOf(lab).map(dropsOf))),
  };
}

function rekeysOf(log: string): Pick<Measurement, 'rekeys' | 'rekeysFromCounts'> {
  const { rekeys, fromCounts } = countRekeys(log);
  return { rekeys, rekeysFromCounts: fromCounts };
}

interface Captures<T> {
  readonly outside: T;
  readonly cluster: T;
  readonly tuns: readonly T[];
}

async function startCaptures(lab: Lab, name: string): Promise<Captures<Capture>> {
  const file = (what: string) => join(lab.options.folder, `${name}-${what}.pcap`);
  const start = (host: Host, on: string | undefined, what: string) => startCapture(host, on, file(what));
  return {
    outside: await start(lab.host('outside'), undefined, 'outside'),
    cluster: await start(lab.host('cluster'), undefined, 'cluster'),
    tuns: await Promise.all(lab.hostsOf('target').map((target) => start(target, TUN, `${target.name}-tun`))),
  };
}

async function stopCaptures(captures: Captures<Capture>): Promise<Captures<CaptureResult>> {
  const [outside, cluster, ...tuns] = await Promise.all([
    captures.outside.stop(),
    captures.cluster.stop(),
    ...captures.tuns.map((capture) => capture.stop()),
  ]);
  return { outside, cluster, tuns };
}

function agentsOf(lab: Lab): Host[] {
  return [lab.router, ...lab.hostsOf('target')];
}

/** An agent that does not answer opened nothing that anybody could know of. */
async function openedBy(lab: Lab): Promise<Pick<Measurement, 'opened' | 'openedInPlaceOfTargets'>> {
  const opened: Record<string, number> = {};
  let openedInPlaceOfTargets = Number.NaN;
  for (const host of agentsOf(lab)) {
    const status = await askAgent(host, 'status').catch(() => undefined);
    opened[host.name] = status?.counters.opened ?? Number.NaN;
    if (host === lab.router) openedInPlaceOfTargets = status?.opening?.inPlaceOfTargets ?? Number.NaN;
  }
  return { opened, openedInPlaceOfTargets };
}

async function dropsOf(host: Host): Promise<Record<string, number>> {
  const drops = await askAgent(host, 'drops').catch(() => ({}));
  return Object.fromEntries(Object.entries(drops).filter(([, count]) => count !== 0));
}

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}
