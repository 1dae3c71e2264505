import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { LabHostPlan } from './addresses.ts';
import type { IkePki } from './ike-pki.ts';
import type { HostRecord } from './ledger.ts';
import { hostCommands, hostNamespace, networkNamespace, sysctlsOf } from './network.ts';
import { renderHost, type Scenario, type TemplateValues } from './scenario.ts';
import { writeGuestFiles } from './uml/guest.ts';

/** Templates that are not mounted on their own, but with the folder around them. */
const SUBFOLDER: Readonly<Record<string, string>> = { 'swanctl.conf': 'swanctl', 'dvipa.yaml': 'dvipa' };

const STOCK_PLUGINS = '/usr/lib/ipsec/plugins';

export interface TemplateContext {
  readonly scenario: Scenario;
  readonly hosts: readonly LabHostPlan[];
  readonly folder: string;
  /** Values that go before the scenario's own. */
  readonly values: TemplateValues;
}

export interface HostFilesOptions extends TemplateContext {
  readonly prefix: string;
  /** The charon plugin, built; undefined: the routing host's charon has stock plugins only. */
  readonly plugin: string | undefined;
}

export function logsFolder(folder: string): string {
  return join(folder, 'logs');
}

/** Where a host's own files lie: strongswan.conf, swanctl/, dvipa/ and its private /run. */
export function hostFolder(folder: string, host: string): string {
  return join(folder, 'hosts', host);
}

/**
 * Writes what a host has of its own and says where it is mounted. Everything is mounted over the place where stock
 * programs look for it, so swanctl and charon run without options or environment, as on a real host (and as Debian's
 * AppArmor profiles want it).
 */
export async function writeHostFiles(
  options: HostFilesOptions,
  host: LabHostPlan,
  pki: IkePki,
): Promise<HostRecord> {
  const folder = hostFolder(options.folder, host.name);
  rmSync(folder, { recursive: true, force: true });
  const place = (name: string) => join(folder, name);
  mkdirSync(place('run'), { recursive: true, mode: 0o755 });
  mkdirSync(place('dvipa'), { recursive: true, mode: 0o700 });
  const mounts: [string, string][] = [[place('run'), '/run']];

  const written = writeTemplates(options, host);
  if (written.has('swanctl.conf')) {
    await pki.issue(host.name, place('swanctl'));
    mounts.push([place('swanctl'), '/etc/swanctl'], [place('strongswan.conf'), '/etc/strongswan.conf']);
  }
  if (options.plugin !== undefined && loadsOurs(place('strongswan.conf'))) {
    // A copy of the stock plugin folder with ours added: the machine's own charon never sees it.
    cpSync(STOCK_PLUGINS, place('plugins'), { recursive: true });
    cpSync(options.plugin, join(place('plugins'), basename(options.plugin)));
    mounts.push([place('plugins'), STOCK_PLUGINS]);
  }
  if (host.isGuest) return writeGuest(options, host, mounts);
  return { name: host.name, namespace: hostNamespace(options.prefix, host.name), mounts };
}

function loadsOurs(strongswanConf: string): boolean {
  return existsSync(strongswanConf) && readFileSync(strongswanConf, 'utf8').includes('kernel-dvipa');
}

/** The process that is a guest's kernel has a /run of its own, and the guest all the rest. */
function writeGuest(
  { folder, prefix, scenario }: HostFilesOptions,
  host: LabHostPlan,
  mounts: [string, string][],
): HostRecord {
  const guest = join(hostFolder(folder, host.name), 'guest');
  writeGuestFiles(guest, {
    name: host.name,
    mounts: mounts.slice(1),
    sysctls: sysctlsOf(scenario),
    network: hostCommands(scenario, host),
  });
  return {
    name: host.name,
    namespace: networkNamespace(prefix, 'outside'),
    mounts: mounts.slice(0, 1),
    guest,
  };
}

/** Fills in a host's templates and writes them to where they are mounted from; returns their names. */
export function writeTemplates(context: TemplateContext, host: LabHostPlan): Set<string> {
  const folder = hostFolder(context.folder, host.name);
  const files = renderHost(context.scenario, host, templateValues(context, host));
  for (const [name, text] of files) {
    const file = join(folder, SUBFOLDER[name] ?? '', name);
    mkdirSync(dirname(file), { recursive: true });
    // Into the same file, never a new one in its place: it may be mounted.
    writeFileSync(file, text);
  }
  return new Set(files.keys());
}

/** Every {{name}} that the templates of a host may use. */
export function templateValues(context: TemplateContext, host: LabHostPlan): TemplateValues {
  const { scenario, hosts, folder, values } = context;
  const targets = hosts.filter(({ kind }) => kind === 'target');
  const router = hosts.find(({ kind }) => kind === 'router');
  return {
    ...scenario.values,
    ...values,
    dvipa: scenario.dvipa,
    endpoint: scenario.endpoint,
    host: host.name,
    logs: logsFolder(folder),
    etc: join(hostFolder(folder, host.name), 'dvipa'),
    dvipa6: scenario.dvipa6 ?? '',
    endpoint6: scenario.endpoint6 ?? '',
    outside_address: host.outsideAddress,
    outside_address6: host.outsideAddress6,
    cluster_address: host.clusterAddress ?? '',
    inner_address: host.innerAddress ?? '',
    inner_address6: host.innerAddress6 ?? '',
    router_cluster_address: router?.clusterAddress ?? '',
    target_names: targets.map(({ name }) => name).join(', '),
    target_list: targets
      .map(({ name, clusterAddress }) => `{ host: ${name}, address: ${clusterAddress} }`)
      .join(', '),
  };
}

/** The charon plugin as `scripts/build-plugin` leaves it, or undefined. */
export function builtPlugin(root: string): string | undefined {
  const file = join(root, 'build/kernel-dvipa/libstrongswan-kernel-dvipa.so');
  return existsSync(file) ? file : undefined;
}
