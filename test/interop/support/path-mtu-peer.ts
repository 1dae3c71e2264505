import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabHostPlan } from '../../../src/lab/addresses.ts';
import type { Host } from '../../../src/lab/host.ts';
import { hostFolder } from '../../../src/lab/host-files.ts';
import type { Cluster } from './cluster.ts';
import type { Wrapping } from './matrix/cells.ts';
import { addressesOf, type CellAddresses } from './matrix/charon-conf.ts';
import type { ExchangeEnds } from './matrix/exchange.ts';
import { Worker } from './matrix/worker-client.ts';

export const SERVER_PORT = 20_000;
const EXCHANGE_MS = 60_000;

/** A way to wrap packets; its peer has one CHILD_SA for everything between its inner address and the DVIPA. */
export interface Path {
  /** Also in swanctl.conf, of the connection and of its CHILD_SA. */
  readonly name: string;
  readonly wrapping: Omit<Wrapping, 'esn'>;
}

export interface Pinged {
  readonly sent: number;
  readonly received: number;
  /** Of ping, about replies that came twice, or with other bytes than were sent. */
  readonly oddities: readonly string[];
}

/** A peer with a CHILD_SA for each of its paths. */
export class PathPeer {
  readonly host: Host;
  readonly #cluster: Cluster;
  readonly #plan: LabHostPlan;
  readonly #worker: Worker;

  private constructor(cluster: Cluster, plan: LabHostPlan, worker: Worker) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#worker = worker;
    this.host = cluster.lab.host(plan.name);
  }

  /** Resolves when all CHILD_SAs are up. */
  static async up(cluster: Cluster, name: string, paths: readonly Path[]): Promise<PathPeer> {
    const { lab } = cluster;
    const plan = lab.plan.find((host) => host.name === name);
    if (plan === undefined) throw new Error(name);
    const peer = new PathPeer(
      cluster,
      plan,
      await Worker.start(lab.host(name), cluster.file(`worker-${name}`)),
    );
    const sections = paths.map((path) => section(path, name, peer.addresses(path)));
    writeFileSync(
      join(hostFolder(lab.options.folder, name), 'swanctl/paths.conf'),
      `connections {\n${sections.join('')}}\n`,
    );
    const load = ['swanctl', '--load-all', '--file', '/etc/swanctl/paths.conf'];
    await peer.host.must(load, { timeoutMs: 60_000 });
    const children = paths.map((path) => path.name);
    const faults = await peer.#worker.faults({ kind: 'initiate', children });
    const bad = faults.flatMap((fault, index) => (fault === null ? [] : [`${children[index]}: ${fault}`]));
    if (bad.length > 0) throw new Error(`${name}: ${bad.join('; ')}`);
    return peer;
  }

  get plan(): LabHostPlan {
    return this.#plan;
  }

  addresses(path: Path): CellAddresses {
    return addressesOf({ ...path.wrapping, esn: false }, this.#plan, this.#cluster.lab.scenario);
  }

  /** Moves a file to the DVIPA and one back: what was wrong, or null. */
  async move(path: Path, fileBytes: number, label: string): Promise<string | null> {
    const { innerLocal, innerRemote } = this.addresses(path);
    const ends: ExchangeEnds = { source: innerLocal, destination: innerRemote, port: SERVER_PORT };
    const job = { kind: 'exchange', label, fileBytes, timeoutMs: EXCHANGE_MS, cells: [ends] } as const;
    const [fault = 'no answer'] = await this.#worker.faults(job);
    return fault;
  }

  /** Echoes with so many bytes of data, two a second. */
  async ping(path: Path, bytes: number, count: number): Promise<Pinged> {
    const { innerLocal, innerRemote } = this.addresses(path);
    const argv = ['ping', '-n', '-I', innerLocal, '-s', String(bytes), '-c', String(count)];
    const { stdout, stderr } = await this.host.exec([...argv, '-i', '0.5', '-W', '5', innerRemote], {
      timeoutMs: 60_000,
    });
    const said = stdout + stderr;
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
    const oddities = said.split('\n').filter((line) => /DUP|wrong data|trunc|error/i.test(line));
    return { sent: Number(sent), received: Number(received), oddities };
  }
}

function section({ name, wrapping }: Path, id: string, addresses: CellAddresses): string {
  const { outerLocal, outerRemote, innerLocal, innerRemote } = addresses;
  return `  ${name} {
    version = 2
    local_addrs = ${outerLocal}
    remote_addrs = ${outerRemote}
    proposals = aes128-sha256-x25519
    mobike = no
    encap = ${wrapping.way === 'udp' ? 'yes' : 'no'}
    local {
      auth = pubkey
      certs = ${id}.pem
      id = ${id}
    }
    remote {
      auth = pubkey
      id = router1
    }
    children {
      ${name} {
        mode = ${wrapping.mode}
        local_ts = ${innerLocal}
        remote_ts = ${innerRemote}
        esp_proposals = aes128gcm16
      }
    }
  }
`;
}
