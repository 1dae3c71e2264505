import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostFolder } from '../../../../src/lab/host-files.ts';
import type { Lab } from '../../../../src/lab/lab.ts';
import { PROJECT_ROOT } from '../../../../src/lab/program.ts';
import { waitFor } from '../../../../src/lab/wait-for.ts';
import { listPlugin, openSession, type PluginSa } from '../../../../src/vici/index.ts';
import type { Cluster } from '../cluster.ts';
import type { Cell } from './cells.ts';
import { addressesOf } from './charon-conf.ts';
import type { ListedChild } from './worker-jobs.ts';

/**
 * A client whose ESP is scapy's. Its charon is a stock one that installs SAs nowhere: our plugin is its kernel backend and no
 * agent listens there. The keys that scapy is given are those that the routing host's plugin was told.
 */
export class ScapyPeer {
  readonly #cluster: Cluster;
  readonly #client: string;
  readonly #folder: string;
  #version = 0;

  private constructor(cluster: Cluster, client: string) {
    this.#cluster = cluster;
    this.#client = client;
    this.#folder = cluster.file(`scapy-${client}`);
  }

  static async start(cluster: Cluster, client: string): Promise<ScapyPeer> {
    const peer = new ScapyPeer(cluster, client);
    const { lab } = cluster;
    await useNoKernel(lab, client);
    rmSync(peer.#folder, { recursive: true, force: true });
    mkdirSync(peer.#folder, { recursive: true });
    const script = fileURLToPath(new URL('./scapy-peer.py', import.meta.url));
    const { dvipa, dvipa6 = '' } = lab.scenario;
    const host = lab.host(client);
    // ESP that nobody took would be answered with ICMP.
    const rules =
      'table inet scapy { chain input { type filter hook input priority 0; meta l4proto esp drop; }; }';
    await host.must(['nft', rules]);
    await host.must(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0']);
    host.spawn('scapy', ['/usr/bin/python3', script, peer.#folder, 'outside0', dvipa, dvipa6]);
    const isThere = () => existsSync(join(peer.#folder, 'counts.json'));
    await waitFor('scapy listens', isThere, { timeoutMs: 30_000 });
    return peer;
  }

  /** Gives scapy the keys of these cells' newest SAs. charon installs the outbound one of a rekey when the old one is deleted. */
  async takeKeys(children: readonly ListedChild[], cells: readonly Cell[]): Promise<void> {
    const session = await openSession(`unix://${this.#cluster.run('router1', 'charon.dvipa')}`);
    try {
      await this.#give(
        await waitFor('the plugin has all SAs', () => this.#keysNow(session, children, cells)),
      );
    } finally {
      session.close();
    }
  }

  async #keysNow(
    session: Parameters<typeof listPlugin>[0],
    children: readonly ListedChild[],
    cells: readonly Cell[],
  ): Promise<object[]> {
    const { sas } = await listPlugin(session, (error) => {
      throw error;
    });
    try {
      return cells.map((cell) => this.#keysOf(cell, children, sas));
    } finally {
      for (const { encryptionKey, integrityKey } of sas) {
        encryptionKey.wipe();
        integrityKey?.wipe();
      }
    }
  }

  /** Packets that scapy sealed and opened, and by reason those that it could not open. */
  counts(): Readonly<Record<string, number>> {
    return JSON.parse(readFileSync(join(this.#folder, 'counts.json'), 'utf8')) as Record<string, number>;
  }

  #keysOf(cell: Cell, children: readonly ListedChild[], sas: readonly PluginSa[]) {
    const child = children.findLast(({ name, state }) => name === `c${cell.port}` && state === 'INSTALLED');
    const { lab } = this.#cluster;
    const plan = lab.plan.find(({ name }) => name === this.#client);
    if (child === undefined || plan === undefined) throw new Error(`no SA of cell ${cell.port}`);
    const { outerLocal, outerRemote } = addressesOf(cell.wrapping, plan, lab.scenario);
    /** What is outbound for the client is inbound for the plugin. */
    const way = (direction: 'in' | 'out', spiText: string) => {
      const spi = Number.parseInt(spiText, 16);
      const sa = sas.find((other) => other.spi === spi && other.direction === direction);
      if (sa === undefined) throw new Error(`the plugin has no SA ${spiText}`);
      const hex = (key: PluginSa['encryptionKey'] | undefined) =>
        key === undefined ? '' : key.reveal().toString('hex');
      return { spi, encryption: hex(sa.encryptionKey), integrity: hex(sa.integrityKey) };
    };
    return {
      port: cell.port,
      encryption: cell.suite.encryption,
      integrity: cell.suite.integrity ?? '',
      esn: cell.wrapping.esn,
      mode: cell.wrapping.mode,
      udp: cell.wrapping.way === 'udp',
      local: outerLocal,
      remote: outerRemote,
      in: way('out', child.spiIn),
      out: way('in', child.spiOut),
    };
  }

  async #give(sas: readonly object[]): Promise<void> {
    const version = (this.#version += 1);
    const file = join(this.#folder, 'keys.json');
    writeFileSync(`${file}.next`, JSON.stringify({ version, sas }), { mode: 0o600 });
    renameSync(`${file}.next`, file);
    const done = join(this.#folder, 'keys.done');
    const isTaken = () => existsSync(done) && readFileSync(done, 'utf8') === String(version);
    await waitFor('scapy has the keys', isTaken, { timeoutMs: 20_000 });
  }
}

async function useNoKernel(lab: Lab, client: string): Promise<void> {
  const plan = lab.plan.find(({ name }) => name === client);
  if (plan === undefined) throw new Error(client);
  const file = join(hostFolder(lab.options.folder, client), 'strongswan.conf');
  const { outsideAddress, outsideAddress6, innerAddress, innerAddress6 } = plan;
  const own = [outsideAddress, outsideAddress6, innerAddress, innerAddress6].join(', ');
  const settings = `plugins {\n    kernel-dvipa {\n      dvipas = ${own}\n      add_sa_wait_ms = 0\n    }\n`;
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text
      .replace(' kernel-libipsec kernel-netlink', ' kernel-dvipa! kernel-netlink')
      .replace('plugins {\n', settings),
  );
  await lab.process(client, 'charon').stop();
  const plugin = join(PROJECT_ROOT, 'build/kernel-dvipa/libstrongswan-kernel-dvipa.so');
  const charon = ['env', `LD_PRELOAD=${plugin}`, '/usr/sbin/charon-systemd'];
  await lab.startCharon(client, charon);
}
