import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { issueCouplingCertificates } from '../../../src/lab/coupling-pki.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { Cluster } from '../../interop/support/cluster.ts';
import { FakePlugin, saSection, selectorSection } from '../../support/fake-plugin.ts';

/** DVIPAs of `FakeCharonLab`, by how many of its targets serve them. */
export const DVIPA_OF = { 1: '203.0.113.10', 3: '203.0.113.11', 16: '203.0.113.12' } as const;
export type TargetCount = keyof typeof DVIPA_OF;

const TARGETS = 16;
/** So many processes are slow to start on few cores. */
const START_MS = 120_000;

/**
 * A routing agent and sixteen target agents, real processes in the lab, with nobody but a stand-in on the plugin's socket: SAs come when
 * the bench says so.
 */
export class FakeCharonLab {
  readonly cluster: Cluster;
  readonly plugin: FakePlugin;
  #ids = 0;

  private constructor(cluster: Cluster, plugin: FakePlugin) {
    this.cluster = cluster;
    this.plugin = plugin;
  }

  static async up(name: string): Promise<FakeCharonLab> {
    const plugin = await new FakePlugin().start();
    const options = { targets: TARGETS, clients: 0, charons: false, servers: false, agents: false };
    const cluster = await Cluster.up(name, options, (lab) => prepare(lab, plugin));
    const made = new FakeCharonLab(cluster, plugin);
    try {
      await issueCouplingCertificates(cluster.lab.options.folder, cluster.lab.plan);
      for (const host of [cluster.lab.router.name, ...cluster.targets]) cluster.lab.startAgent(host);
      await cluster.serving(TARGETS, { timeoutMs: START_MS, everyMs: 500 });
      return made;
    } catch (error) {
      await made.down();
      throw error;
    }
  }

  /** Tells of a new inbound SA for the DVIPA that so many targets serve. Its id. */
  addSa(targets: TargetCount): string {
    const n = ++this.#ids;
    const dvipa = DVIPA_OF[targets];
    const client = `10.${1 + (n >>> 16)}.${(n >>> 8) & 255}.${n & 255}`;
    this.plugin.addSa(
      saSection(String(n), {
        spi: (0xc000_0000 + n).toString(16),
        group: n,
        reqid: n,
        'src-ts': { 0: selectorSection(client) },
        'dst-ts': { 0: selectorSection(dvipa) },
        dvipa,
      }),
    );
    return String(n);
  }

  /** Its name in the cluster. */
  nameOf(id: string): string {
    return `${this.plugin.instance}:${id}`;
  }

  async down(): Promise<void> {
    await this.cluster.down();
    await this.plugin.charon.destroy();
  }
}

async function prepare(lab: Lab, plugin: FakePlugin): Promise<void> {
  const file = (host: string, name: string) => `${lab.options.folder}/hosts/${host}/${name}`;
  const targets = lab.hostsOf('target').map(({ name }) => name);
  const dvipas = Object.entries(DVIPA_OF).map(
    ([count, address]) =>
      `  - { address: ${address}, endpoint: ${lab.scenario.endpoint}, inbound_filter: bypass, targets: [${targets.slice(0, Number(count)).join(', ')}] }\n`,
  );
  const change = (host: string, from: RegExp, to: string) => {
    const config = file(host, 'dvipa/dvipa.yaml');
    const text = readFileSync(config, 'utf8');
    if (!from.test(text)) throw new Error(`${config}: no ${from.source}`);
    writeFileSync(config, text.replace(from, to));
  };
  change(lab.router.name, /^dvipas:\n(?: .*\n)+/m, `dvipas:\n${dvipas.join('')}`);
  for (const target of targets)
    change(target, /^dvipas: .*$/m, `dvipas: [${Object.values(DVIPA_OF).join(', ')}]`);
  const socket = file(lab.router.name, 'run/charon.dvipa');
  rmSync(socket, { force: true });
  symlinkSync(plugin.uri.slice('unix://'.length), socket);
}
