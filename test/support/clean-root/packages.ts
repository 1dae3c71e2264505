import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';
import { must } from '../../../src/lab/run.ts';
import { CleanHost } from './clean-host.ts';
import { cleanRoot } from './clean-root.ts';

const FOLDER = join(PROJECT_ROOT, 'out/deb');
/** What the packages are made of. */
const INPUTS = [
  'dist',
  'packaging',
  'docs',
  'plugins',
  'build/kernel-dvipa',
  'scripts/build-deb',
  'README.md',
];

/** Both Debian packages, as files; built unless those of `out/deb` are newer than everything that goes into them. */
export async function debianPackages(): Promise<{ readonly agent: string; readonly plugin: string }> {
  const find = (name: string) =>
    readdirSync(FOLDER).find((file) => file.startsWith(name) && file.endsWith('.deb'));
  // One build at a time: tests may run side by side.
  const build = `test -e ${FOLDER} && test -z "$(find ${INPUTS.join(' ')} -newer ${FOLDER} -print -quit)" || scripts/build-deb`;
  await must(['flock', 'build', 'sh', '-c', build], { cwd: PROJECT_ROOT, timeoutMs: 600_000 });
  const [agent, plugin] = [find('strongswan-dvipa-agent_'), find('strongswan-plugin-kernel-dvipa_')];
  if (agent === undefined || plugin === undefined) throw new Error(`${FOLDER} lacks a package`);
  return { agent: join(FOLDER, agent), plugin: join(FOLDER, plugin) };
}

/** Installs package files and what they depend on, as `apt install ./FILE...` does. */
export async function install(host: CleanHost, ...files: readonly string[]): Promise<string> {
  const places = files.map((_, i) => `/root/packages/${i}.deb`);
  files.forEach((file, i) => host.copyIn(file, places[i] ?? ''));
  const apt = ['apt-get', '-q', '-y', 'install', '--no-install-recommends'];
  const said = await host.must([...apt, ...places], { timeoutMs: 300_000 });
  await host.must(['rm', '-r', '/root/packages']);
  return said;
}

/**
 * A clean host on which these packages have been installed, and still on the machine's network: for a host in a network of its own,
 * stop it and lay another one over `[host.layer, ...]`.
 */
export async function hostWith(name: string, ...files: readonly string[]): Promise<CleanHost> {
  const host = await CleanHost.start(name, { lower: [await cleanRoot()] });
  await install(host, ...files);
  return host;
}
