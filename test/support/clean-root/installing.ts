import { basename } from 'node:path';
import { CleanHost } from './clean-host.ts';
import { cleanRoot } from './clean-root.ts';

const POLICY = '/usr/sbin/policy-rc.d';

/**
 * A clean host on this machine's network, where Debian's packages come from, with these files in a folder of its own. What `work`
 * installs there starts nothing, and it says yes to whatever apt asks. Stopped when this resolves: `layer` has all that was done.
 */
export async function installed(
  name: string,
  {
    folder,
    files,
    work,
  }: { folder: string; files: readonly string[]; work: (host: CleanHost) => Promise<unknown> },
): Promise<CleanHost> {
  const host = await CleanHost.start(name, { lower: [await cleanRoot()] });
  try {
    host.write('/etc/apt/apt.conf.d/90answer', 'APT::Get::Assume-Yes "true";\n');
    host.write(POLICY, '#!/bin/sh\nexit 101\n', 0o755);
    for (const file of files) host.copyIn(file, `${folder}/${basename(file)}`);
    await work(host);
    await host.must(['rm', POLICY]);
    await host.stop();
    return host;
  } catch (error) {
    await host.remove();
    throw error;
  }
}
