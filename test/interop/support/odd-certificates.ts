import { cpSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initAuthority, issueCertificate } from '../../../src/io/pki.ts';
import { run } from '../../../src/lab/run.ts';
import type { Cluster } from './cluster.ts';

export type Oddity = 'expired' | 'other-host' | 'other-ca' | 'none';

/** Makes a certificate for a host of the lab, in a folder of its own, that is not right, or is. Returns the folder. */
export async function issueCertificateOf(cluster: Cluster, host: string, oddity: Oddity): Promise<string> {
  const folder = cluster.file(`pki/${host}-${oddity}`);
  const role = host === 'router1' ? 'route' : 'target';
  mkdirSync(folder, { recursive: true });
  if (oddity === 'other-ca') await initAuthority(folder);
  else
    for (const file of ['ca.pem', 'ca.key']) cpSync(cluster.file(`pki/coupling/${file}`), join(folder, file));
  const named = oddity === 'other-host' ? 'target9' : host;
  const issued = await issueCertificate(folder, { role, host: named }, 30);
  const files = { key: join(folder, `${host}.key`), certificate: join(folder, `${host}.pem`) };
  if (named !== host) {
    copyFileSync(issued.key, files.key);
    copyFileSync(issued.certificate, files.certificate);
  }
  if (oddity === 'expired') writeFileSync(files.certificate, await expired(folder, host, role));
  return folder;
}

async function expired(folder: string, host: string, role: string): Promise<string> {
  const file = (name: string) => join(folder, name);
  const authority = ['--cacert', file('ca.pem'), '--cakey', file('ca.key'), '--outform', 'pem'];
  const subject = ['--in', file(`${host}.key`), '--type', 'priv', '--dn', `CN=${host}`];
  const name = ['--san', `${host}.${role}.dvipa.invalid`];
  const dates = ['--dateform', '%Y-%m-%d', '--not-before', '2020-01-01', '--not-after', '2021-01-01'];
  const { status, stdout, stderr } = await run([
    'pki',
    '--issue',
    ...authority,
    ...subject,
    ...name,
    ...dates,
  ]);
  if (status !== 0) throw new Error(`pki: ${stderr}`);
  return stdout;
}

/** Puts certificate and key where the host's agent looks for them. */
export function bringCertificate(cluster: Cluster, host: string, folder: string): void {
  for (const suffix of ['pem', 'key'])
    copyFileSync(join(folder, `${host}.${suffix}`), cluster.file(`hosts/${host}/dvipa/${host}.${suffix}`));
}
