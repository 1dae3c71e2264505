import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DropReason } from '../../src/base/verdict.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { terminate } from '../../src/lab/charon.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';

const INTEGRITY: Readonly<Record<string, string>> = {
  'HMAC-SHA1-96': 'sha1',
  'HMAC-SHA2-256-128': 'sha256',
  'HMAC-SHA2-384-192': 'sha384',
  'HMAC-SHA2-512-256': 'sha512',
  'AES-XCBC-96': 'aesxcbc',
  'AES-CMAC-96': 'aescmac',
};

/** As swanctl.conf writes an algorithm: `aes128gcm16`, `aes256`, `aes192ctr`, `null`, `chacha20poly1305`. */
function encryptionKeyword(name: string, bits: number): string {
  const [, mode = '', icv = ''] = name.split('-');
  return name.startsWith('AES')
    ? `aes${bits}${mode === 'CBC' ? '' : mode.toLowerCase()}${icv}`
    : name.replace('-', '').toLowerCase();
}

/** Every suite of the table as [proposal, how both ends name what comes of it], but for what the peer cannot. */
const SUITES = knownAlgorithms().encryption.flatMap(({ name, keyBytes, icvBytes, kind }) =>
  keyBytes.flatMap((bytes): [proposal: string, name: string][] => {
    const keyword = encryptionKeyword(name, bytes * 8);
    const written = `${name.replaceAll('-', '_')}${keyBytes.length > 1 ? `-${bytes * 8}` : ''}`;
    if (kind === 'gmac') return [];
    if (icvBytes > 0) return [[keyword, written]];
    return knownAlgorithms().integrity.map((integrity) => [
      `${keyword}-${INTEGRITY[integrity.name]}`,
      `${written}/${integrity.name.replaceAll('-', '_')}`,
    ]);
  }),
);

/** Cells that kernel-libipsec of strongSwan 5.9.8 cannot do, and what it says itself. */
const IMPOSSIBLE: readonly [what: string, proposal: string, said: string][] = [
  ['AES-GMAC', 'aes128gmac', 'unsupported AEAD algorithm NULL_AES_GMAC'],
  ['ESN', 'aes128gcm16-esn', 'ESN not supported'],
];

const DOWNLOAD_BYTES = 300_000;
const UPLOAD_BYTES = 200_000;
/** What a packet of a good peer must never be dropped for. */
const FAULTS: readonly DropReason[] = [
  'icv',
  'padding',
  'malformed',
  'peek-malformed',
  'replay',
  'inner-not-dvipa',
];
/**
 * A stock client (kernel-libipsec) with every algorithm that it can do. Two targets: replies of the second go by way of the
 * routing host, which stamps or seals them.
 */
describe('algorithms, with a stock peer', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let uploads: string;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const proposals = [...SUITES, ...IMPOSSIBLE.map(([, proposal]) => [proposal])].map(
      ([proposal]) => proposal,
    );
    const ports = [80, UPLOAD_PORT];
    const rules = ports.map((port) => `{ action: permit, protocol: tcp, ports: "${port}" }`);
    const values = { esp_proposals: proposals.join(','), inbound_rules: rules.join(', ') };
    cluster = await Cluster.up('alg', { clients: 1, targets: 2, tunnels: false, values }, prepare);
    uploads = startUploads(cluster, UPLOAD_BYTES);
    await listening();
  });

  after(() => cluster?.down());

  /** The client's charon with the algorithms that openssl's plugin has not, and another port through the filter. */
  async function prepare(lab: Lab): Promise<void> {
    const edit = (host: string, name: string, what: string, by: string) => {
      const file = join(hostFolder(lab.options.folder, host), name);
      const text = readFileSync(file, 'utf8');
      expect(text).to.contain(what);
      writeFileSync(file, text.replace(what, by));
    };
    await lab.process('client1', 'charon').stop();
    edit(
      'client1',
      'strongswan.conf',
      ' kernel-libipsec kernel-netlink',
      ' xcbc cmac kernel-libipsec kernel-netlink',
    );
    await lab.startCharon('client1');
  }

  /** What the client proposes from now on. */
  async function propose(proposal: string): Promise<void> {
    const client = cluster.lab.host('client1');
    await terminate(client);
    cluster.lab.rewriteConfiguration('client1', { esp_proposals: proposal });
    await client.must(['swanctl', '--load-conns']);
  }

  const clientLog = () => readFileSync(join(cluster.lab.options.folder, 'logs/client1-charon.log'), 'utf8');
  const curl = (...argv: string[]) =>
    cluster.lab.host('client1').must(['curl', '-s', '--max-time', '20', ...argv]);
  async function listening(): Promise<void> {
    const isUp = async (target: string) =>
      (await cluster.lab.host(target).must(['ss', '-Hltn', `sport = :${UPLOAD_PORT}`])) !== '';
    for (const target of cluster.targets) await waitFor(`${target} takes uploads`, () => isUp(target));
  }

  /** Resolves with the target that served it, and what it answered. */
  async function transfer(...argv: string[]): Promise<[target: string, body: Buffer]> {
    const [headers, body] = [cluster.file('headers'), cluster.file('body')];
    await curl('-D', headers, '-o', body, ...argv);
    const target = /x-dvipa-host: (\w+)/i.exec(readFileSync(headers, 'utf8'))?.[1] ?? 'nobody';
    return [target, readFileSync(body)];
  }

  async function download(): Promise<string> {
    const [target, body] = await transfer(`http://${cluster.dvipa}/bytes/${DOWNLOAD_BYTES}`);
    expect(createHash('sha256').update(body).digest('hex')).to.equal(byteStreamSha256(DOWNLOAD_BYTES));
    return target;
  }

  async function upload(): Promise<string> {
    const url = `http://${cluster.dvipa}:${UPLOAD_PORT}/`;
    const [target, body] = await transfer('--data-binary', `@${uploads}`, url);
    expect(body.toString()).to.equal(byteStreamSha256(UPLOAD_BYTES));
    return target;
  }

  /** Targets take turns once each has told of its server; a slow machine may need a few more transfers until that is so. */
  async function throughEveryTarget(once: () => Promise<string>): Promise<void> {
    const seen = new Set<string>();
    for (let left = 10; left > 0 && seen.size < cluster.targets.length; left--) seen.add(await once());
    expect(seen).to.deep.equal(new Set(cluster.targets));
  }

  const faults = async () =>
    Object.entries(await cluster.allDrops()).flatMap(([host, drops]) =>
      FAULTS.filter((reason) => (drops[reason] ?? 0) > 0).map((reason) => `${host}: ${reason}`),
    );

  for (const [proposal, name] of SUITES) {
    it(`${proposal}: TCP both ways through every target, with the right bytes`, async () => {
      await propose(proposal);
      const from = clientLog().length;
      await cluster.lab.initiate('client1');
      const sas = await waitFor('SAs of this suite', async () => {
        const installed = await cluster.installed();
        return installed.every(({ algorithm }) => algorithm === name) && installed;
      });
      expect(sas.map(({ direction }) => direction)).to.have.members(['in', 'out']);

      await throughEveryTarget(download);
      await throughEveryTarget(upload);
      expect(await faults()).to.deep.equal([]);
      expect(clientLog().slice(from)).to.not.match(/ESP.*failed/);
    });
  }

  for (const [what, proposal, said] of IMPOSSIBLE) {
    it(`${what}: not with kernel-libipsec, which says so itself; we take it`, async () => {
      await propose(proposal);
      const from = clientLog().length;
      const isUp = await cluster.lab.initiate('client1').then(
        () => true,
        () => false,
      );
      expect(isUp).to.equal(false);
      expect(clientLog().slice(from)).to.contain(said);
      const ours = readFileSync(join(cluster.lab.options.folder, 'logs/router1-charon.log'), 'utf8');
      expect(ours).to.not.contain('is refused');
    });
  }
});
