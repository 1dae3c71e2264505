import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { must } from '../../../src/lab/run.ts';

/** A PKCS#11 token in software (SoftHSM) with one ECDSA key, in a folder of its own. */
export class SoftToken {
  static readonly module = '/usr/lib/softhsm/libsofthsm2.so';

  /** What is missing to have one here; empty: nothing. */
  static missing(): string[] {
    return [SoftToken.module, '/usr/bin/softhsm2-util'].filter((file) => !existsSync(file));
  }

  readonly handle = 'c0ffee';
  readonly pin = '271828';
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'vici-token-'));

  /** For softhsm2-util, and for a charon that is to see the token. */
  get env(): Record<string, string> {
    return { SOFTHSM2_CONF: `${this.#folder}/softhsm2.conf` };
  }

  /** Puts the private key on it: PKCS#8, PEM. */
  async fill(key: string): Promise<void> {
    const { env, handle, pin } = this;
    mkdirSync(`${this.#folder}/tokens`);
    writeFileSync(`${this.#folder}/softhsm2.conf`, `directories.tokendir = ${this.#folder}/tokens\n`);
    writeFileSync(`${this.#folder}/key.pem`, key, { mode: 0o600 });
    const create = ['--init-token', '--free', '--label', 'test', '--pin', pin, '--so-pin', pin];
    await must(['softhsm2-util', ...create], { env });
    const put = ['--import', `${this.#folder}/key.pem`, '--token', 'test', '--label', 'key', '--id', handle];
    await must(['softhsm2-util', ...put, '--pin', pin], { env });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
