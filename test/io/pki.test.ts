import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseIdentity } from '../../src/io/peer-identity.ts';
import { initAuthority, issueCertificate, PkiError } from '../../src/io/pki.ts';

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(PkiError);
  return (error as PkiError).message;
}

describe('pki', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-pki-test-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function certificate(name: string): X509Certificate {
    return new X509Certificate(readFileSync(join(folder, `${name}.pem`)));
  }

  it('init makes an authority with an ECDSA P-256 key of mode 0600', async () => {
    const files = await initAuthority(join(folder, 'new'));
    expect(statSync(files.key).mode & 0o777).to.equal(0o600);
    expect(statSync(join(folder, 'new')).mode & 0o777).to.equal(0o700);
    const authority = new X509Certificate(readFileSync(files.certificate));
    expect(authority.ca).to.equal(true);
    expect(authority.verify(authority.publicKey)).to.equal(true);
    expect(authority.publicKey.asymmetricKeyDetails?.namedCurve).to.equal('prime256v1');
  });

  it('issue names host and role, and allows one side of TLS', async () => {
    await initAuthority(folder);
    const { key } = await issueCertificate(folder, { role: 'target', host: 'target1' }, 30);
    await issueCertificate(folder, { role: 'route', host: 'router1.example' }, 30);
    expect(statSync(key).mode & 0o777).to.equal(0o600);
    const [target, route] = [certificate('target1'), certificate('router1.example')];
    expect(parseIdentity(target.subjectAltName)).to.deep.equal({ role: 'target', host: 'target1' });
    expect(parseIdentity(route.subjectAltName)).to.deep.equal({ role: 'route', host: 'router1.example' });
    expect(target.keyUsage).to.deep.equal(['1.3.6.1.5.5.7.3.2']); // id-kp-clientAuth, RFC 5280 section 4.2.1.12
    expect(route.keyUsage).to.deep.equal(['1.3.6.1.5.5.7.3.1']); // id-kp-serverAuth
    expect(target.verify(certificate('ca').publicKey)).to.equal(true);
    expect(target.ca).to.equal(false);
    const days = (Date.parse(target.validTo) - Date.parse(target.validFrom)) / 86_400_000;
    expect(days).to.be.within(29, 31);
  });

  it('overwrites nothing', async () => {
    const { key } = await initAuthority(folder);
    const before = readFileSync(key);
    expect(await failure(initAuthority(folder))).to.include('ca.key exists already');
    expect(readFileSync(key).equals(before)).to.equal(true);
    writeFileSync(join(folder, 'target1.pem'), 'mine');
    const work = issueCertificate(folder, { role: 'target', host: 'target1' }, 30);
    expect(await failure(work)).to.include('target1.pem exists already');
    expect(readdirSync(folder).toSorted()).to.deep.equal(['ca.key', 'ca.pem', 'target1.pem']);
  });

  it('says what to do without an authority', async () => {
    const work = issueCertificate(folder, { role: 'target', host: 'target1' }, 30);
    expect(await failure(work)).to.include(`dvipa pki init --dir ${folder}`);
  });

  it('refuses a host name that would leave the folder', async () => {
    await initAuthority(folder);
    expect(await failure(issueCertificate(folder, { role: 'target', host: '../x' }, 30))).to.include(
      'host name',
    );
  });

  it("gives pki's own words when it fails, and leaves no key behind", async () => {
    await initAuthority(folder);
    writeFileSync(join(folder, 'ca.key'), 'no key');
    const message = await failure(issueCertificate(folder, { role: 'target', host: 'target1' }, 30));
    expect(message).to.match(/^pki failed: .*CA private key/);
    expect(message).not.to.include('TPM');
    expect(readdirSync(folder).toSorted()).to.deep.equal(['ca.key', 'ca.pem']);
  });

  it("names the package when strongSwan's pki is missing", async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      expect(await failure(initAuthority(folder))).to.include('strongswan-pki');
    } finally {
      process.env['PATH'] = path;
    }
    expect(readdirSync(folder)).to.deep.equal([]);
  });
});
