import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DropReason } from '../../../src/base/verdict.ts';
import { askAgent as askSocket } from '../../../src/io/admin-client.ts';
import { askAgent } from '../../../src/lab/agent.ts';
import { type Capture, startCapture } from '../../../src/lab/capture.ts';
import { issueCouplingCertificates } from '../../../src/lab/coupling-pki.ts';
import { Lab } from '../../../src/lab/lab.ts';
import type { LabOptions } from '../../../src/lab/options.ts';
import { waitFor, type WaitOptions } from '../../../src/lab/wait-for.ts';
import type { AdminAnswers, AdminCommand } from '../../../src/observe/admin-answers.ts';
import type { SaSnapshot } from '../../../src/observe/snapshots.ts';

/** Drops that are there, by reason. */
export type Drops = Partial<Record<DropReason, number>>;

/** The whole product in the lab, with helpers that the tests of a cluster share. */
export class Cluster {
  readonly lab: Lab;
  readonly #options: LabOptions;
  #captures = 0;

  private constructor(lab: Lab, options: LabOptions) {
    this.lab = lab;
    this.#options = options;
  }

  /**
   * A lab of its own name, so that another one may be up at the same time. `beforeAgents` runs when hosts and charons
   * are there and no agent has touched anything.
   */
  static async up(
    name: string,
    options: LabOptions = {},
    beforeAgents: (lab: Lab) => Promise<void> = async () => {},
  ): Promise<Cluster> {
    const all: LabOptions = {
      prefix: `dv${name}`,
      folder: join(tmpdir(), `dvipa-cluster-${name}`),
      clients: 2,
      targets: 3,
      ...options,
    };
    const lab = await Lab.up({ ...all, agents: false, tunnels: false });
    const cluster = new Cluster(lab, all);
    try {
      await beforeAgents(lab);
      if (all.agents !== false) await cluster.startAgents();
      if (all.charons !== false && all.tunnels !== false) await cluster.initiateAll();
      return cluster;
    } catch (error) {
      await cluster.down();
      throw error;
    }
  }

  get dvipa(): string {
    return this.lab.scenario.dvipa;
  }

  get targets(): string[] {
    return this.lab.hostsOf('target').map(({ name }) => name);
  }

  get clients(): string[] {
    return this.lab.hostsOf('client').map(({ name }) => name);
  }

  /** A file of this lab. */
  file(name: string): string {
    return join(this.lab.options.folder, name);
  }

  /** Where a host's private /run is on this machine. */
  run(host: string, name: string): string {
    return this.file(`hosts/${host}/run/${name}`);
  }

  configFile(host: string): string {
    return this.file(`hosts/${host}/dvipa/dvipa.yaml`);
  }

  /** `expected`: so many of the targets are in the routing host's configuration. */
  async startAgents(expected = this.targets.length): Promise<void> {
    await issueCouplingCertificates(this.lab.options.folder, this.lab.plan);
    for (const host of [this.lab.router.name, ...this.targets]) this.lab.startAgent(host);
    await this.serving(expected);
  }

  async initiateAll(): Promise<void> {
    for (const client of this.clients) await this.lab.initiate(client);
  }

  /** Waits until this many targets (all) have their snapshot. */
  async serving(count = this.targets.length, options: WaitOptions = { timeoutMs: 30_000 }): Promise<void> {
    const isUp = async () =>
      (await this.ask(this.lab.router.name, 'targets')).filter(({ state }) => state === 'up').length ===
      count;
    await waitFor(`${count} targets serve`, isUp, options);
  }

  /** Waits until every SA of the clients is installed on every target. */
  async installed(clients = this.clients.length): Promise<readonly SaSnapshot[]> {
    return waitFor(
      'all SAs are installed on all targets',
      async () => {
        const sas = await this.ask(this.lab.router.name, 'sas');
        const isAll = sas.every(({ installedOn }) => installedOn.length === this.targets.length);
        return sas.length === 2 * clients && isAll && sas;
      },
      { timeoutMs: 15_000 },
    );
  }

  /** Asks an agent, straight at its admin socket: cheap enough to poll. */
  ask<Command extends AdminCommand>(host: string, command: Command): Promise<AdminAnswers[Command]> {
    const name = host === this.lab.router.name ? 'route' : 'target';
    return askSocket(this.run(host, `dvipa/${name}.sock`), command) as Promise<AdminAnswers[Command]>;
  }

  /** What the agent of a host has dropped so far, as the admin socket says. */
  async drops(host: string): Promise<Drops> {
    return nonZero(await this.ask(host, 'drops'));
  }

  /** The same, as `dvipa drops --json` says it in the host. */
  async dropsAsTold(host: string): Promise<Drops> {
    return nonZero(await askAgent(this.lab.host(host), 'drops'));
  }

  /** Drops of every agent, by host. */
  async allDrops(): Promise<Record<string, Drops>> {
    const hosts = [this.lab.router.name, ...this.targets];
    return Object.fromEntries(await Promise.all(hosts.map(async (host) => [host, await this.drops(host)])));
  }

  /** Captures a network into a file of its own; `where` is `outside`, `cluster`, or a target (its TUN). */
  capture(where: string, filter: readonly string[] = [], headersOnly = false): Promise<Capture> {
    this.#captures += 1;
    const isNetwork = where === 'outside' || where === 'cluster';
    const file = this.file(`${String(this.#captures).padStart(2, '0')}-${where}.pcap`);
    const options = { filter, headersOnly };
    return startCapture(this.lab.host(where), isNetwork ? undefined : 'dvipa0', file, options);
  }

  async down(): Promise<void> {
    await this.lab.release();
    await Lab.downAny(this.#options);
  }
}

function nonZero(drops: Drops): Drops {
  return Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0));
}

/** What was counted between two looks, by reason. */
export function difference(after: Drops, before: Drops): Drops {
  const changes = Object.entries(after).map(([reason, count]) => [
    reason,
    count - (before[reason as DropReason] ?? 0),
  ]);
  return nonZero(Object.fromEntries(changes) as Drops);
}

/** Why the tests with a real charon cannot run here; empty: they can. Silence would look like success, so say it. */
export function missingForCluster(root: string): string[] {
  const plugin = join(root, 'build/kernel-dvipa/libstrongswan-kernel-dvipa.so');
  const needed = [
    '/usr/sbin/charon-systemd',
    '/usr/sbin/swanctl',
    '/usr/bin/tcpdump',
    '/usr/sbin/ethtool',
    plugin,
  ];
  return needed.filter((file) => !existsSync(file));
}
