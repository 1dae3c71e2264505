import { type HostRecord, Ledger, type LabRecord } from './ledger.ts';
import { networkNamespace } from './network.ts';
import { defaultPrefix, ledgerFolder } from './options.ts';
import { isRunning } from './process.ts';

/** Looking at a lab that another process brought up. */

export interface LabStatus {
  readonly up: boolean;
  readonly scenario?: string;
  readonly folder?: string;
  readonly hosts: readonly string[];
  readonly processes: readonly { host: string; name: string; pid: number; running: boolean }[];
}

export function labStatus(prefix = defaultPrefix()): LabStatus {
  const record = Ledger.read(ledgerFolder(prefix))?.record;
  if (record === undefined) return { up: false, hosts: [], processes: [] };
  return {
    up: record.isUp,
    scenario: record.scenario,
    folder: record.folder,
    hosts: record.hosts.map(({ name }) => name),
    processes: record.processes.map((entry) => ({
      host: entry.host,
      name: entry.name,
      pid: entry.pid,
      running: isRunning(entry),
    })),
  };
}

/** What is needed to enter a host; `outside` and `cluster` are the networks. Throws if it is not there. */
export function readLabHost(name: string, prefix = defaultPrefix()): HostRecord {
  const record = Ledger.read(ledgerFolder(prefix))?.record;
  if (record === undefined) throw new Error('the lab is down (dvipa lab up)');
  const host = hostsOf(record, prefix).find((entry) => entry.name === name);
  if (host === undefined)
    throw new Error(`no host '${name}' in the lab, expected one of: ${namesOf(record)}`);
  return host;
}

/** Whether the kernel of a guest runs. */
export function isGuestRunning(name: string, prefix = defaultPrefix()): boolean {
  return labStatus(prefix).processes.some(
    (entry) => entry.host === name && entry.name === 'kernel' && entry.running,
  );
}

function hostsOf(record: LabRecord, prefix: string): HostRecord[] {
  const networks = (['outside', 'cluster'] as const).map((network) => ({
    name: network,
    namespace: networkNamespace(prefix, network),
    mounts: [],
  }));
  return [...record.hosts, ...networks];
}

function namesOf(record: LabRecord): string {
  return [...record.hosts.map(({ name }) => name), 'outside', 'cluster'].join(', ');
}
