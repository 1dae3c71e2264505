import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './run.ts';

/**
 * The certificates of IKE: one authority for the lab, one certificate per charon, made by strongSwan's own `pki`. They
 * have nothing to do with those of the coupling channel.
 */
export class IkePki {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(folder: string): Promise<IkePki> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const pki = new IkePki(folder);
    await pki.#makeKey('ca');
    const distinguishedName = 'O=strongswan-dvipa lab, CN=IKE authority';
    const certificate = await must(
      ['pki', '--self', '--ca', '--lifetime', '30', '--in', pki.#file('ca.key'), '--type', 'ecdsa'].concat([
        '--dn',
        distinguishedName,
        '--outform',
        'pem',
      ]),
    );
    writeFileSync(pki.#file('ca.pem'), certificate);
    return pki;
  }

  /** Issues a certificate for `host` and writes it, the key and the authority into a swanctl folder. */
  async issue(host: string, swanctlFolder: string): Promise<void> {
    await this.#makeKey(host);
    const certificate = await must(
      ['pki', '--issue', '--lifetime', '30', '--in', this.#file(`${host}.key`), '--type', 'ecdsa']
        .concat(['--cacert', this.#file('ca.pem'), '--cakey', this.#file('ca.key')])
        .concat(['--dn', `O=strongswan-dvipa lab, CN=${host}`, '--san', host, '--outform', 'pem']),
    );
    const place = (subfolder: string, name: string, text: string, mode: number) => {
      mkdirSync(join(swanctlFolder, subfolder), { recursive: true, mode: 0o700 });
      writeFileSync(join(swanctlFolder, subfolder, name), text, { mode });
    };
    place('x509', `${host}.pem`, certificate, 0o644);
    place('x509ca', 'ca.pem', await must(['cat', this.#file('ca.pem')]), 0o644);
    place('private', `${host}.pem`, await must(['cat', this.#file(`${host}.key`)]), 0o600);
  }

  async #makeKey(name: string): Promise<void> {
    const key = await must(['pki', '--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem']);
    writeFileSync(this.#file(`${name}.key`), key, { mode: 0o600 });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}
