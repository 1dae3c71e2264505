import type { DropReason } from '../../../src/base/verdict.ts';
import type { Host } from '../../../src/lab/host.ts';
import { ownProgram } from '../../../src/lab/program.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import type { SaSnapshot } from '../../../src/observe/snapshots.ts';
import type { Cluster } from './cluster.ts';

/** CHILD_SAs of scenario `roads` to the DVIPAs, by name. */
export const CHILDREN = ['web', 'admin', 'ping', 'web6', 'ping6'] as const;
export type Child = (typeof CHILDREN)[number];

const ADMIN_PORT = 8081;

/** A CHILD_SA as the routing host has it. */
export interface ChildSas {
  readonly in: SaSnapshot;
  readonly out: SaSnapshot;
}

/** A client with virtual addresses and several CHILD_SAs. */
export class RoadWarrior {
  readonly host: Host;
  readonly outsideAddress: string;
  readonly #cluster: Cluster;
  readonly #gateway: string | undefined;
  /** The virtual addresses, once it is up. */
  inner4 = '';
  inner6 = '';

  /** `nat`: the client is behind one. */
  constructor(cluster: Cluster, name: string, nat?: { readonly outside: string; readonly inside: string }) {
    this.#cluster = cluster;
    this.host = cluster.lab.host(name);
    const planned = cluster.lab.plan.find((host) => host.name === name);
    this.outsideAddress = nat?.outside ?? planned?.outsideAddress ?? '';
    this.#gateway = nat?.inside;
  }

  get name(): string {
    return this.host.name;
  }

  /** Brings these CHILD_SAs up, one after another, and finds out which addresses it has got. */
  async up(children: readonly Child[] = CHILDREN): Promise<void> {
    for (const child of children)
      await this.host.must(['swanctl', '--initiate', '--child', child, '--timeout', '30']);
    const text = await this.host.must(['swanctl', '--list-sas']);
    const [, inner4 = '', inner6 = ''] = /^ {2}local .*\[(10\.\S+) (2001:\S+)\]$/m.exec(text) ?? [];
    Object.assign(this, { inner4, inner6 });
    if (this.name.startsWith('kernel')) await this.route();
    await this.sas(children);
  }

  /**
   * New connections begin at the virtual addresses. Charon does it itself, but not for selectors of a protocol or port; and
   * with each move it takes the addresses away for a moment, and with them such routes.
   */
  async route(): Promise<void> {
    const way = this.#gateway === undefined ? [] : ['via', this.#gateway];
    const from = (dvipa: string, inner: string) =>
      this.host.must(['ip', 'route', 'replace', dvipa, ...way, 'dev', 'outside0', 'src', inner]);
    await from(this.#cluster.dvipa, this.inner4);
    if (this.#gateway === undefined) await from(this.#dvipa6, this.inner6);
  }

  /** Its SAs on the routing host, by CHILD_SA, once exactly these are there and on all targets. */
  sas(children: readonly Child[] = CHILDREN): Promise<Map<string, ChildSas>> {
    const { length } = this.#cluster.targets;
    const areThere = async () => {
      const sas = (await this.#cluster.ask('router1', 'sas')).filter((sa) => this.#isOurs(sa));
      const isWhole = children.every(
        (child) => sas.filter(({ childName }) => childName === child).length === 2,
      );
      const areInstalled = sas.every(({ installedOn }) => installedOn.length === length);
      return isWhole && areInstalled && sas.length === 2 * children.length && sas;
    };
    return waitFor(`the SAs of ${this.name}`, areThere, { timeoutMs: 30_000 }).then(byChild);
  }

  #isOurs({ peer }: SaSnapshot): boolean {
    return peer === this.outsideAddress || peer.startsWith(`${this.outsideAddress}:`);
  }

  /** One request that belongs under this CHILD_SA, or one echo; returns what was answered, or undefined. */
  use(child: Child): Promise<string | undefined> {
    return this.#exec(this.isEcho(child) ? this.#ping(child, 1) : curl(this.#url(child)));
  }

  /** A download of so many bytes, or so many echoes of 56 bytes. True if all came. */
  async move(child: Child, count: number): Promise<boolean> {
    if (this.isEcho(child)) return (await this.#exec(this.#ping(child, count))) !== undefined;
    const counted = ['-o', '/dev/null', '-w', '%{size_download}', `${this.#url(child)}bytes/${count}`];
    return (await this.#exec(curl(...counted))) === String(count);
  }

  isEcho(child: Child): boolean {
    return child.startsWith('ping');
  }

  #ping(child: Child, count: number): string[] {
    const address = child === 'ping6' ? this.#dvipa6 : this.#cluster.dvipa;
    return ['ping', '-n', '-q', '-i', '0.2', '-c', String(count), '-W', '10', address];
  }

  #url(child: Child): string {
    if (child === 'web6') return `http://[${this.#dvipa6}]/`;
    return `http://${this.#cluster.dvipa}${child === 'admin' ? `:${ADMIN_PORT}` : ''}/`;
  }

  get #dvipa6(): string {
    return this.#cluster.lab.scenario.dvipa6 ?? '';
  }

  async #exec(argv: readonly string[]): Promise<string | undefined> {
    const { status, stdout } = await this.host.exec(argv);
    return status === 0 ? stdout : undefined;
  }
}

function curl(...argv: readonly string[]): string[] {
  return ['curl', '-s', '-g', '--max-time', '20', ...argv];
}

function byChild(sas: readonly SaSnapshot[]): Map<string, ChildSas> {
  const found = new Map<string, ChildSas>();
  for (const { childName = '' } of sas) {
    const way = (direction: 'in' | 'out') =>
      sas.find((sa) => sa.childName === childName && sa.direction === direction);
    const [into, out] = [way('in'), way('out')];
    if (into !== undefined && out !== undefined) found.set(childName, { in: into, out });
  }
  return found;
}

/** The lab's application on the other port, and on the IPv6 DVIPA. */
export function startMoreServers(cluster: Cluster): void {
  const { dvipa, lab } = cluster;
  for (const target of cluster.targets) {
    const serve = (name: string, ...argv: string[]) =>
      lab.host(target).spawn(name, [...ownProgram('lab/http-server'), target, ...argv]);
    serve('http-admin', dvipa, String(ADMIN_PORT));
    serve('http6', lab.scenario.dvipa6 ?? '');
  }
}

/** What is not the load of this machine's doing. */
const FAULTS: readonly DropReason[] = [
  'truncated',
  'malformed',
  'checksum',
  'not-esp',
  'outer-not-dvipa',
  'replay',
  'icv',
  'padding',
  'peek-malformed',
  'inner-not-dvipa',
  'tunnel-check',
  'filter',
  'no-policy',
  'source-not-dvipa',
  'coupling-not-granted',
];

/** `host: reason` of every fault of a packet that an agent has counted. */
export async function faultsOf(cluster: Cluster): Promise<string[]> {
  return Object.entries(await cluster.allDrops()).flatMap(([host, drops]) =>
    FAULTS.filter((reason) => (drops[reason] ?? 0) > 0).map((reason) => `${host}: ${reason}`),
  );
}
