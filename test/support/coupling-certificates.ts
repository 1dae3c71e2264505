import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initAuthority, issueCertificate } from '../../src/io/pki.ts';
import type { Role } from '../../src/io/peer-identity.ts';
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

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
