import { readFileSync } from 'node:fs';
import type { Host } from '../../../src/lab/host.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import type { TemplateValues } from '../../../src/lab/scenario.ts';
import { Cluster } from '../../interop/support/cluster.ts';
import { BenchPeer, countersOf, type Flood, type Flooded } from './bench-peer.ts';
import { TRACED, watchGarbage } from './garbage.ts';
import { SUPER_PACKETS } from './gateway.ts';
import { steerToOthers } from './host-cpu.ts';
import { type Drops, Role } from './role.ts';

/** What is behind a TUN is an application's work, not the role's. */
const dropBehind = (device: string) =>
  `table ip bench {\n chain in {\n type filter hook prerouting priority -400; iifname "${device}" drop\n }\n}\n`;

const WARM_UP = { bytes: 1440, segments: 1, window: 256, seconds: 2 };

/** What a load is, but for where its counters are. */
export type Load = Omit<Flood, 'counters'>;

/** What the queue of a TUN (500 packets) holds even where large segments are cut up before it. */
export const TUN_WINDOW = 480;

/** Nothing of a lab is on the measured processor, and what comes out of `device` of `host` goes no further. */
export async function prepare(lab: Lab, host: Host, device: string): Promise<void> {
  const all = [...lab.plan.map(({ name }) => lab.host(name)), lab.host('outside'), lab.host('cluster')];
  await steerToOthers(all);
  await host.must(['nft', '-f', '-'], { input: dropBehind(device) });
}

/** A cluster with one target, and a peer that is a load generator. */
export class RoleLab {
  readonly cluster: Cluster;
  readonly target: Host;
  readonly peer: BenchPeer;

  private constructor(cluster: Cluster, peer: BenchPeer) {
    this.cluster = cluster;
    this.target = cluster.lab.host('target1');
    this.peer = peer;
  }

  static async up(name: string, values: TemplateValues = {}): Promise<RoleLab> {
    const cluster = await Cluster.up(name, {
      scenario: 'bench',
      targets: 1,
      clients: 2,
      tunnels: false,
      servers: false,
      ...SUPER_PACKETS,
      values,
      agentEnvironment: { NODE_OPTIONS: TRACED },
    });
    try {
      await prepare(cluster.lab, cluster.lab.host('target1'), 'dvipa0');
      const made = new RoleLab(cluster, await BenchPeer.up(cluster.lab));
      await cluster.installed(1);
      await made.towards(WARM_UP); // code is compiled, and the connection known
      return made;
    } catch (error) {
      await cluster.down();
      throw error;
    }
  }

  /** The processes of the routing host. */
  routing(): number[] {
    const { lab } = this.cluster;
    return [lab.process('router1', 'agent').pid, lab.process('router1', 'charon').pid];
  }

  agent(): number {
    return this.cluster.lab.process('target1', 'agent').pid;
  }

  /** Which library the target's agent has used since it was started last, by the version that its log tells. */
  library(): string | undefined {
    const log = readFileSync(this.cluster.lab.process('target1', 'agent').logFile, 'utf8');
    const version = [...log.matchAll(/ cryptography of packets .*\bversion="?([^\s"]+)/g)].at(-1)?.[1];
    if (version === undefined) return undefined;
    if (version === 'OpenSSL') return 'openssl';
    return /^\d/.test(version) ? 'ipsec-mb' : 'node';
  }

  /** From the peer to the target's TUN. */
  towards(load: Load): Promise<Flooded> {
    return this.peer.flood({ ...load, counters: countersOf(this.agent(), 'dvipa0') });
  }

  /** From the target's TUN to the peer. */
  from(load: Load): Promise<Flooded> {
    return this.peer.receive(this.target, 'dvipa0', load);
  }

  /** Starts a host's agent anew, with other values in its configuration. */
  async restart(host: string, values: TemplateValues): Promise<void> {
    const { lab } = this.cluster;
    await lab.process(host, 'agent').stop();
    lab.rewriteConfiguration(host, values);
    lab.startAgent(host);
    await this.cluster.serving();
    await this.cluster.installed(1);
    await this.towards(WARM_UP);
  }

  /** Work of this host; what the agents drop meanwhile is told, and how much garbage its own agent makes. */
  role(name: string, host: string, pids: () => readonly number[], work: () => Promise<Flooded>): Role {
    const garbage = () => watchGarbage(this.cluster.lab.process(host, 'agent').logFile);
    return new Role(name, pids, work, { drops: () => this.#drops(), garbage });
  }

  async #drops(): Promise<Drops> {
    const all = Object.entries(await this.cluster.allDrops());
    return Object.fromEntries(
      all.flatMap(([host, drops]) =>
        Object.entries(drops).map(([reason, count]) => [`${host} ${reason}`, count]),
      ),
    );
  }

  down(): Promise<void> {
    return this.cluster.down();
  }
}
