import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { LabHostPlan } from './addresses.ts';
import { hostFolder } from './host-files.ts';
import { dvipaCommand } from './program.ts';
import { must } from './run.ts';

/** Certificates of the coupling channel, made with `dvipa pki` as an operator would, and put where the agents look. */
export async function issueCouplingCertificates(
  folder: string,
  hosts: readonly LabHostPlan[],
): Promise<void> {
  const pki = join(folder, 'pki/coupling');
  await must(dvipaCommand('pki', 'init', '--dir', pki));
  for (const { kind, name } of hosts) {
    if (kind === 'client') continue;
    await must(
      dvipaCommand('pki', 'issue', '--dir', pki, '--role', kind === 'router' ? 'route' : 'target', name),
    );
    const place = join(hostFolder(folder, name), 'dvipa');
    for (const file of ['ca.pem', `${name}.pem`, `${name}.key`]) cpSync(join(pki, file), join(place, file));
  }
}
