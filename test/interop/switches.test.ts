import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { faultsOf } from './support/road-warrior.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';

/** What a host's file may say of the fast path. */
interface Switches {
  readonly driver: 'auto' | 'batch' | 'dgram';
  readonly gso: boolean;
  readonly gro: boolean;
  readonly tun: boolean;
  readonly library: 'auto' | 'ipsec-mb' | 'openssl' | 'node';
  readonly workers: number;
}

const ALL_ON: Switches = { driver: 'auto', gso: true, gro: true, tun: true, library: 'auto', workers: 2 };
const ALL_OFF: Switches = {
  driver: 'dgram',
  gso: false,
  gro: false,
  tun: false,
  library: 'node',
  workers: 1,
};

/** Every value of every switch, each alone and beside others; and hosts of one cluster that differ. */
const COMBINATIONS: readonly [name: string, router: Switches, targets: Switches][] = [
  ['everything on', ALL_ON, ALL_ON],
  ['everything off', ALL_OFF, ALL_OFF],
  ['a fast routing host, slow targets', ALL_ON, ALL_OFF],
  ['a slow routing host, fast targets', ALL_OFF, ALL_ON],
  [
    'no segmentation, coalesced input',
    { ...ALL_ON, gso: false, driver: 'batch', workers: 1 },
    { ...ALL_ON, gso: false, library: 'openssl' },
  ],
  [
    'segmentation, no coalesced input',
    { ...ALL_ON, gro: false, library: 'openssl' },
    { ...ALL_ON, gro: false, tun: false, workers: 3 },
  ],
  ['large segments over node:dgram and node:crypto', ALL_ON, { ...ALL_ON, driver: 'dgram', library: 'node' }],
];

const DOWNLOAD_BYTES = 4_000_000;
const UPLOAD_BYTES = 1_000_000;

/** The main job with the parts of the fast path turned on and off, on links that pass super-packets whole. */
describe('switches of the fast path', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let uploads: string;
  const files = new Map<string, string>();

  before(async () => {
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const rules = [80, UPLOAD_PORT].map((port) => `{ action: permit, protocol: tcp, ports: "${port}" }`);
    const values = { inbound_rules: rules.join(', '), rekey_time: 0, ike_rekey_time: 0 };
    cluster = await Cluster.up('swi', { clients: 1, targets: 2, values, superPackets: true });
    for (const host of hosts()) files.set(host, readFileSync(cluster.configFile(host), 'utf8'));
    uploads = startUploads(cluster, UPLOAD_BYTES);
  });

  after(() => cluster?.down());

  const hosts = () => ['router1', ...cluster.targets];

  async function restart(host: string, { driver, gso, gro, tun, library, workers }: Switches): Promise<void> {
    await cluster.lab.process(host, 'agent').stop();
    const file = cluster.configFile(host);
    writeFileSync(file, files.get(host) ?? '');
    appendFileSync(
      file,
      `link: { driver: ${driver} }\noffloads: { gso: ${gso}, gro: ${gro}, tun: ${tun} }\ncrypto: { library: ${library} }\nworkers: ${workers}\n`,
    );
    cluster.lab.startAgent(host);
  }

  const curl = (...argv: string[]) =>
    cluster.lab.host('client1').must(['curl', '-s', '--max-time', '60', ...argv]);

  async function download(): Promise<void> {
    const file = cluster.file('download');
    await curl('-o', file, `http://${cluster.dvipa}/bytes/${DOWNLOAD_BYTES}`);
    const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(hash).to.equal(byteStreamSha256(DOWNLOAD_BYTES));
  }

  async function upload(): Promise<void> {
    const url = `http://${cluster.dvipa}:${UPLOAD_PORT}/`;
    const said = await curl('--retry', '10', '--retry-connrefused', '--data-binary', `@${uploads}`, url);
    expect(said).to.equal(byteStreamSha256(UPLOAD_BYTES));
  }

  for (const [name, router, targets] of COMBINATIONS) {
    it(`${name}: files go both ways with the right bytes, and no packet is at fault`, async () => {
      for (const host of hosts()) await restart(host, host === 'router1' ? router : targets);
      await cluster.serving();
      await cluster.installed();
      for (const _ of cluster.targets) {
        await download();
        await upload();
      }
      // Two at once, so that both targets send on one SA.
      await Promise.all([download(), upload()]);
      expect(await faultsOf(cluster)).to.deep.equal([]);
    });
  }
});
