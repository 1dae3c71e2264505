import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';

/** What the daemon is and how it does. Each command rejects with a ViciError only. */

export interface DaemonVersion {
  /** e.g. `charon-systemd`. */
  readonly daemon: string;
  /** strongSwan's, e.g. `5.9.8`. */
  readonly version: string;
  readonly sysname: string;
  readonly release: string;
  readonly machine: string;
}

export async function version(requester: Requester, options?: CallOptions): Promise<DaemonVersion> {
  const fields = new Fields(await requester.request('version', undefined, options), 'version');
  return {
    daemon: fields.text('daemon'),
    version: fields.text('version'),
    sysname: fields.text('sysname'),
    release: fields.text('release'),
    machine: fields.text('machine'),
  };
}

/** Jobs or threads of each priority. */
export interface JobCounts {
  readonly critical: number;
  readonly high: number;
  readonly medium: number;
  readonly low: number;
}

export interface DaemonStats {
  /** In charon's words and its local time: `running` e.g. `2 hours`, `since` e.g. `Nov 23 00:39:35 2026`. */
  readonly uptime: { readonly running: string; readonly since: string };
  /** Worker threads. */
  readonly workers: { readonly total: number; readonly idle: number; readonly active: JobCounts };
  /** Jobs that wait for a worker. */
  readonly queues: JobCounts;
  /** Jobs that wait for their time. */
  readonly scheduledJobs: number;
  readonly ikeSas: { readonly total: number; readonly halfOpen: number };
  readonly plugins: readonly string[];
  /** The reply as it came: memory figures (`mem`, `mallinfo`), and what a newer charon adds. */
  readonly message: ViciMessage;
}

export async function stats(requester: Requester, options?: CallOptions): Promise<DaemonStats> {
  const fields = new Fields(await requester.request('stats', undefined, options), 'stats');
  const uptime = fields.section('uptime');
  const workers = fields.section('workers');
  const ikeSas = fields.section('ikesas');
  return {
    uptime: { running: uptime.text('running'), since: uptime.text('since') },
    workers: {
      total: workers.number('total'),
      idle: workers.number('idle'),
      active: jobCounts(workers.section('active')),
    },
    queues: jobCounts(fields.section('queues')),
    scheduledJobs: fields.number('scheduled'),
    ikeSas: { total: ikeSas.number('total'), halfOpen: ikeSas.number('half-open') },
    plugins: fields.list('plugins'),
    message: fields.message,
  };
}

function jobCounts(fields: Fields): JobCounts {
  return {
    critical: fields.number('critical'),
    high: fields.number('high'),
    medium: fields.number('medium'),
    low: fields.number('low'),
  };
}

/** Reads strongswan.conf again, for charon and the plugins that can. `refused` if it cannot be parsed. */
export async function reloadSettings(requester: Requester, options?: CallOptions): Promise<void> {
  await requester.request('reload-settings', undefined, options);
}
