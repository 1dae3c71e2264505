import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initAuthority, issueCertificate } from '../../src/io/pki.ts';
import { identityName, type Role } from '../../src/io/peer-identity.ts';
import { runCommand } from '../../src/io/run-command.ts';
import type { TlsCredentials } from '../../src/io/tls-options.ts';

/** A certificate authority in a folder of its own, made with strongSwan's pki. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'dvipa-pki-'));

  static async create(): Promise<TestAuthority> {
    const authority = new TestAuthority();
    await initAuthority(authority.folder);
    return authority;
  }

  get ca(): string {
    return readFileSync(join(this.folder, 'ca.pem'), 'utf8');
  }

  async issue(role: Role, host: string): Promise<TlsCredentials> {
    const files = await issueCertificate(this.folder, { role, host }, 30);
    return {
      ca: this.ca,
      certificate: readFileSync(files.certificate, 'utf8'),
      key: readFileSync(files.key, 'utf8'),
    };
  }

  /** An identity whose certificate may be used on both sides of TLS: then the name alone decides. */
  issueAnyUse(role: Role, host: string): Promise<TlsCredentials> {
    return this.issueNames([identityName({ role, host })]);
  }

  /** A certificate with just these DNS names. */
  async issueNames(names: readonly string[]): Promise<TlsCredentials> {
    const key = await runCommand('pki', ['--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem']);
    const file = join(this.folder, `${names[0]}.names.key`);
    writeFileSync(file, key, { mode: 0o600 });
    const ca = ['--cacert', join(this.folder, 'ca.pem'), '--cakey', join(this.folder, 'ca.key')];
    const subject = ['--dn', 'CN=names', ...names.flatMap((name) => ['--san', name]), '--outform', 'pem'];
    const certificate = await runCommand('pki', [
      '--issue',
      '--in',
      file,
      '--type',
      'priv',
      ...ca,
      ...subject,
    ]);
    return { ca: this.ca, certificate, key };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
