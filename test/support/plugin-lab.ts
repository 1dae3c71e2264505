import { createDecipheriv } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import type { LabOptions } from '../../src/lab/options.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import {
  acknowledge,
  connect,
  type PluginChange,
  type PluginPolicy,
  type PluginSa,
  PluginSession,
  type PluginSnapshot,
  type ViciError,
  wipePluginSa,
} from '../../src/vici/index.ts';

/** A routing host with charon and the plugin, and a stock client: no agents, no targets. */
export const PLUGIN_LAB: LabOptions & { readonly folder: string; readonly prefix: string } = {
  prefix: 'kdv',
  folder: path.join(tmpdir(), 'dvipa-plugin-test'),
  targets: 0,
  clients: 1,
  agents: false,
  servers: false,
  tunnels: false,
};

/** Where this process reaches a socket of the routing host. */
export function routerSocket(name: string): string {
  return `${hostFolder(PLUGIN_LAB.folder, 'router1')}/run/${name}`;
}

/** What charon on a host has logged so far. */
export function charonLog(host: string): string {
  return readFileSync(path.join(PLUGIN_LAB.folder, 'logs', `${host}-charon.log`), 'utf8');
}

/** Edits a configuration file of a host in place (it may be mounted). */
export function editFile(host: string, name: string, edit: (text: string) => string): void {
  const file = path.join(hostFolder(PLUGIN_LAB.folder, host), name);
  const before = readFileSync(file, 'utf8');
  const after = edit(before);
  if (after === before) throw new Error(`${file}: nothing was edited`);
  writeFileSync(file, after);
}

/** Follows the plugin as an agent does, and remembers what it heard. */
export class PluginWatcher {
  readonly session: PluginSession;
  readonly snapshots: PluginSnapshot[] = [];
  readonly changes: PluginChange[] = [];
  readonly invalid: ViciError[] = [];
  /** Acknowledges SAs and policies at once, as an agent whose targets are quick. */
  acknowledges = true;

  constructor() {
    const uri = `unix://${routerSocket('charon.dvipa')}`;
    this.session = new PluginSession(
      {
        open: (signal) => connect(uri, signal),
        clock: systemClock,
        random: Math.random,
        backoff: { firstMs: 50, maxMs: 200, healthyMs: 1000 },
      },
      {
        onSnapshot: (snapshot) => this.snapshots.push(snapshot),
        onChange: (change) => this.#take(change),
        onInvalid: (error) => this.invalid.push(error),
      },
    );
  }

  static async start(): Promise<PluginWatcher> {
    const watcher = new PluginWatcher();
    watcher.session.start();
    await waitFor('the first list', () => watcher.session.isFollowing);
    return watcher;
  }

  /** A short text per change since `from`: its type, direction, and SPI. */
  said(from = 0): string[] {
    return this.changes.slice(from).map((change) => {
      switch (change.type) {
        case 'sa-add':
        case 'sa-update':
          return `${change.type} ${change.sa.direction}`;
        case 'sa-delete':
          return `${change.type} ${change.direction}`;
        case 'policy-add':
          return `${change.type} ${change.policy.direction}`;
        case 'policy-delete':
          return `${change.type} ${change.key.split(' ')[0]}`;
      }
    });
  }

  /** The newest SA of a direction that was told. Borrowed, with its keys. */
  newest(direction: 'in' | 'out'): PluginSa {
    const found = this.changes.findLast(
      (change) => change.type === 'sa-add' && change.sa.direction === direction,
    );
    if (found?.type !== 'sa-add') throw new Error(`no SA ${direction} was told`);
    return found.sa;
  }

  /** The newest policy of a direction that was told. */
  newestPolicy(direction: PluginPolicy['direction']): PluginPolicy {
    const found = this.changes.findLast(
      (change) => change.type === 'policy-add' && change.policy.direction === direction,
    );
    if (found?.type !== 'policy-add') throw new Error(`no policy ${direction} was told`);
    return found.policy;
  }

  close(): void {
    this.session.close();
    for (const { sas } of this.snapshots) for (const sa of sas) wipePluginSa(sa);
    for (const change of this.changes) if (change.type === 'sa-add') wipePluginSa(change.sa);
  }

  #take(change: PluginChange): void {
    this.changes.push(change);
    if (!this.acknowledges) return;
    const of =
      change.type === 'sa-add'
        ? { sa: change.sa.id }
        : change.type === 'policy-add'
          ? { policy: change.policy.id }
          : undefined;
    if (of !== undefined) acknowledge(this.session.session, of).catch(() => undefined);
  }
}

/** Nothing goes to the kernel's own IPsec, wherever there is one: what no DVIPA has is refused. */
export async function startPluginLab(values: LabOptions['values'] = {}, clients = 1): Promise<Lab> {
  return await Lab.up({ ...PLUGIN_LAB, clients, values: { log_knl: 2, delegate: 'no', ...values } });
}

/** Opens an ESP packet (from the SPI on) with AES-GCM-16 (RFC 4106): the inner packet with its trailer. Throws if the ICV is wrong. */
export function openGcm(esp: Buffer, keyAndSalt: Uint8Array): Buffer {
  const key = keyAndSalt.subarray(0, -4);
  const nonce = Buffer.concat([keyAndSalt.subarray(-4), esp.subarray(8, 16)]);
  const decipher = createDecipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
  decipher.setAAD(esp.subarray(0, 8));
  decipher.setAuthTag(esp.subarray(-16));
  return Buffer.concat([decipher.update(esp.subarray(16, -16)), decipher.final()]);
}
