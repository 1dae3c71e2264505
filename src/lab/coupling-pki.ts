import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { initAuthority, issueCertificate } from '../io/pki.ts';
import type { LabHostPlan } from './addresses.ts';
import { hostFolder } from './host-files.ts';

/** Makes the certificates of the coupling channel and puts them where the agents look for them. */
export async function issueCouplingCertificates(
  folder: string,
  hosts: readonly LabHostPlan[],
): Promise<void> {
  const pki = join(folder, 'pki/coupling');
  await initAuthority(pki);
  for (const { kind, name } of hosts) {
    if (kind !== 'router' && kind !== 'target') continue;
    await issueCertificate(pki, { role: kind === 'router' ? 'route' : 'target', host: name }, 30);
    const place = join(hostFolder(folder, name), 'dvipa');
    for (const file of ['ca.pem', `${name}.pem`, `${name}.key`]) cpSync(join(pki, file), join(place, file));
  }
}
