import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeFrame, type Envelope } from '../../../src/coupling/envelope.ts';
import { COUPLING_VERSION } from '../../../src/coupling/records.ts';
import { identityName, type Role } from '../../../src/io/peer-identity.ts';
import { runCommand } from '../../../src/io/run-command.ts';
import type { Host } from '../../../src/lab/host.ts';

export interface IntruderFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * Somebody who speaks to the coupling port from a host of the cluster: openssl's client, so that not our own TLS code
 * proves itself. Sends `frames` when the handshake is done and resolves when the other side has hung up.
 */
export async function intrude(
  from: Host,
  port: { readonly address: string; readonly port: number },
  files: IntruderFiles | undefined,
  frames: readonly Buffer[] = [],
): Promise<void> {
  const identity = files === undefined ? [] : ['-cert', files.certificate, '-key', files.key];
  const argv = ['openssl', 's_client', '-quiet', '-tls1_3', '-connect', `${port.address}:${port.port}`];
  // It ends with status 0 or 1, by what it was doing when it was thrown out; the counters tell what it was thrown out for.
  await from.exec([...argv, ...identity], { input: Buffer.concat(frames), timeoutMs: 10_000 });
}

/** One record as it goes over the channel. */
export function record(kind: string, body: unknown, changes: Partial<Envelope> = {}): Buffer {
  return encodeFrame({ n: 1, a: 0, e: 0, k: kind, b: body, ...changes });
}

export function hello(host: string, changes: object = {}): Buffer {
  // Below every real incarnation: if it were let in, it would not throw out the agent that it plays.
  return record('hello', {
    version: COUPLING_VERSION,
    role: 'target',
    host,
    incarnation: 1n << 33n,
    epochSeen: 0,
    ...changes,
  });
}

/** A certificate of the authority in `authority` that is good on both sides of TLS: then its name alone decides. */
export async function issueAnyUse(
  authority: string,
  folder: string,
  role: Role,
  host: string,
): Promise<IntruderFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ca = join(authority, 'ca.pem');
  const files = { ca, certificate: join(folder, `${host}.pem`), key: join(folder, `${host}.key`) };
  const key = await runCommand('pki', ['--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem']);
  writeFileSync(files.key, key, { mode: 0o600 });
  const signer = ['--cacert', ca, '--cakey', join(authority, 'ca.key')];
  const subject = ['--dn', `CN=${host}`, '--san', identityName({ role, host }), '--outform', 'pem'];
  const argv = ['--issue', '--in', files.key, '--type', 'priv', ...signer, ...subject];
  writeFileSync(files.certificate, await runCommand('pki', argv));
  return files;
}
