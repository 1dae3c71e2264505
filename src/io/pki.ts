import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { identityName, isHostName, type PeerIdentity } from './peer-identity.ts';
import { CommandError, runCommand } from './run-command.ts';

/** A command that could not do its work; the message is for the operator. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
}

export interface IssuedFiles {
  readonly key: string;
  readonly certificate: string;
}

const CA_DAYS = 3650;
const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

function caFiles(folder: string): IssuedFiles {
  return { key: join(folder, 'ca.key'), certificate: join(folder, 'ca.pem') };
}

/**
 * Makes the certificate authority of the coupling channel: `ca.key` (ECDSA P-256, mode 0600) and `ca.pem`, in a
 * folder that is made if it is missing. Throws `PkiError`; never overwrites.
 */
export async function initAuthority(folder: string): Promise<IssuedFiles> {
  const files = caFiles(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await refuseExisting(files);
  await createFile(files.key, await generateKey(), KEY_MODE);
  await orRemove(files.key, async () => {
    const dn = ['--dn', 'CN=dvipa coupling authority', '--lifetime', String(CA_DAYS), '--pathlen', '0'];
    const certificate = await pki(['--self', '--ca', '--in', files.key, '--type', 'ecdsa', ...dn]);
    await createFile(files.certificate, certificate, CERTIFICATE_MODE);
  });
  return files;
}

/**
 * Makes `<host>.key` (mode 0600) and `<host>.pem` for one host in one role. The extended key usage allows a
 * routing host only to be a TLS server and a target only to be a client. Throws `PkiError`; never overwrites.
 */
export async function issueCertificate(
  folder: string,
  identity: PeerIdentity,
  lifetimeDays: number,
): Promise<IssuedFiles> {
  const { role, host } = identity;
  if (!isHostName(host)) {
    throw new PkiError(`${host}: expected a host name (letters a-z, digits, hyphens, dots)`);
  }
  const authority = caFiles(folder);
  if (!(await exists(authority.key)) || !(await exists(authority.certificate))) {
    throw new PkiError(`no certificate authority in ${folder}: run 'dvipa pki init --dir ${folder}' first`);
  }
  const files = { key: join(folder, `${host}.key`), certificate: join(folder, `${host}.pem`) };
  await refuseExisting(files);
  await createFile(files.key, await generateKey(), KEY_MODE);
  await orRemove(files.key, async () => {
    const ca = ['--cacert', authority.certificate, '--cakey', authority.key];
    const subject = ['--dn', `CN=${commonName(host)}, OU=${role}`, '--san', identityName(identity)];
    const use = [
      '--flag',
      role === 'route' ? 'serverAuth' : 'clientAuth',
      '--lifetime',
      String(lifetimeDays),
    ];
    const certificate = await pki([
      '--issue',
      '--in',
      files.key,
      '--type',
      'priv',
      ...ca,
      ...subject,
      ...use,
    ]);
    await createFile(files.certificate, certificate, CERTIFICATE_MODE);
  });
  return files;
}

/** X.520 allows 64 characters; the name that counts is in the subjectAltName. */
function commonName(host: string): string {
  return host.slice(0, 64);
}

function generateKey(): Promise<string> {
  return pki(['--gen', '--type', 'ecdsa', '--size', '256']);
}

/** Runs strongSwan's `pki`; what it prints is PEM. */
async function pki(args: readonly string[]): Promise<string> {
  const output = await runCommand('pki', [...args, '--outform', 'pem']).catch((error: unknown) => {
    throw explained(error);
  });
  if (!output.startsWith('-----BEGIN ')) throw new PkiError(`pki ${args[0]} printed no PEM`);
  return output;
}

function explained(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
    const message =
      "strongSwan's 'pki' is not installed (Debian: strongswan-pki, libstrongswan-standard-plugins)";
    return new PkiError(message, { cause: error });
  }
  // Modules that cannot be loaded are reported by every call of `pki`, also of one that works.
  const lines = error.stderr.split('\n').filter((line) => line !== '' && !/^plugin '|^TPM /.test(line));
  return new PkiError(`pki failed: ${lines.join('; ') || 'no reason given'}`, { cause: error });
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function refuseExisting({ key, certificate }: IssuedFiles): Promise<void> {
  for (const file of [key, certificate]) {
    if (await exists(file)) throw new PkiError(`${file} exists already: move it away first`);
  }
}

/** Creates it or fails: also when someone else created it since we looked. */
async function createFile(file: string, content: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode);
  try {
    await handle.chmod(mode); // whatever the umask is
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Does not leave a key without its certificate behind. */
async function orRemove(key: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    await rm(key, { force: true });
    throw error;
  }
}
