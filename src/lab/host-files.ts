import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { LabHostPlan } from './addresses.ts';
import type { IkePki } from './ike-pki.ts';
import type { HostRecord } from './ledger.ts';
import { hostNamespace } from './network.ts';
import { renderHost, type Scenario, type TemplateValues } from './scenario.ts';

const STOCK_PLUGINS = '/usr/lib/ipsec/plugins';

export interface HostFilesOptions {
  readonly scenario: Scenario;
  readonly hosts: readonly LabHostPlan[];
  readonly folder: string;
  readonly prefix: string;
  readonly values: TemplateValues;
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

  const files = renderHost(options.scenario, host, templateValues(options, host));
  for (const [name, text] of files) {
    const target =
      name === 'swanctl.conf' ? 'swanctl/swanctl.conf' : name === 'dvipa.yaml' ? 'dvipa/dvipa.yaml' : name;
    mkdirSync(join(place(target), '..'), { recursive: true });
    writeFileSync(place(target), text);
  }
  if (files.has('swanctl.conf')) {
    await pki.issue(host.name, place('swanctl'));
    mounts.push([place('swanctl'), '/etc/swanctl'], [place('strongswan.conf'), '/etc/strongswan.conf']);
  }
  if (host.kind === 'router' && options.plugin !== undefined) {
    // A copy of the stock plugin folder with ours added: the machine's own charon never sees it.
    cpSync(STOCK_PLUGINS, place('plugins'), { recursive: true });
    cpSync(options.plugin, join(place('plugins'), basename(options.plugin)));
    mounts.push([place('plugins'), STOCK_PLUGINS]);
  }
  return { name: host.name, namespace: hostNamespace(options.prefix, host.name), mounts };
}

/** Every {{name}} that the templates may use. */
function templateValues(
  { scenario, hosts, folder, values }: HostFilesOptions,
  host: LabHostPlan,
): TemplateValues {
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
    outside_address: host.outsideAddress,
    cluster_address: host.clusterAddress ?? '',
    inner_address: host.innerAddress ?? '',
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
