import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Capture } from '../../src/lab/capture.ts';
import { newMarker, requestMany } from '../../src/lab/demo/traffic.ts';
import { type EspUse, findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Random } from '../sim/event-queue.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { type LoadedDownload, runDownloads } from './support/download-load.ts';
import { PEER_REFUSES } from './support/observe.ts';

const SECONDS = 50;
const PARALLEL = 6;
/** Of one download, which takes 2 s; 18 Mbit/s in all. */
const BYTES_PER_SECOND = Math.round(18e6 / 8 / 2 / PARALLEL);
const DOWNLOAD_BYTES = 2 * BYTES_PER_SECOND;
/** Each SA is rekeyed about every 8 s. */
const SOFT_BYTES = 8 * PARALLEL * BYTES_PER_SECOND;
/** A new life begins at once or after a while ... */
const DEAD_MS = 1_500;
/** ... and one in so many is cut short when it has hardly begun. */
const CUT_SHORT = 0.3;
const BETWEEN_MS = 3_000;
const LEAST_UNHARMED = 20;
const SEED = Number(process.env['DVIPA_KILL_SEED'] ?? Date.now() % 1e6);

interface Kill {
  readonly host: string;
  readonly at: number;
}

/** Targets and the routing agent are killed at random moments while two clients download all the time. */
describe(`outbound load under kill -9, seed ${SEED}`, function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let wire: Capture;
  let use: EspUse;
  let downloads: LoadedDownload[] = [];
  const kills: Kill[] = [];
  const marker = newMarker(`outbound-kills ${process.pid}`);

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const limits = { rekey_bytes: SOFT_BYTES, life_bytes: 20 * SOFT_BYTES };
    const values = { rekey_time: 0, ike_rekey_time: 0, ...limits };
    cluster = await Cluster.up('kill', { tunnels: false, values });
    const { endpoint } = cluster.lab.scenario;
    wire = await cluster.capture('outside', ['src', 'host', endpoint, 'and', 'udp', 'port', '4500'], true);
    await cluster.initiateAll();
    await cluster.installed();
  });

  after(() => cluster?.down());

  async function killAtRandom(until: number): Promise<void> {
    const random = new Random(SEED);
    const victims = ['router1', ...cluster.targets];
    for (;;) {
      await sleep(random.between(0, BETWEEN_MS));
      if (Date.now() > until) return;
      const host = random.pick(victims);
      kills.push({ host, at: Date.now() });
      await cluster.lab.process(host, 'agent').kill('SIGKILL');
      await sleep(random.between(0, DEAD_MS));
      cluster.lab.startAgent(host);
      if (!random.chance(CUT_SHORT)) await cluster.serving();
    }
  }

  const isHarmed = ({ server, startedAt, endedAt }: LoadedDownload) =>
    server === undefined || kills.some(({ host, at }) => host === server && at >= startedAt && at <= endedAt);

  it('connections of targets that live go on to their end, with the right hash', async () => {
    const { dvipa } = cluster;
    const options = {
      dvipa,
      parallel: PARALLEL,
      seconds: SECONDS,
      bytes: DOWNLOAD_BYTES,
      bytesPerSecond: BYTES_PER_SECOND,
      marker,
      downloadSeconds: 25,
    };
    const killing = killAtRandom(Date.now() + SECONDS * 1000);
    const done = cluster.clients.map((name) => runDownloads(cluster.lab.host(name), options));
    downloads = (await Promise.all(done)).flat();
    await killing;
    const unharmed = downloads.filter((download) => !isHarmed(download));
    const answered = downloads.filter(({ server }) => server !== undefined);
    console.log(
      `      killed ${kills.map(({ host }) => host).join(', ')}; ${downloads.length} downloads, ` +
        `${answered.length} answered, ${unharmed.length} of targets that lived`,
    );
    expect(unharmed.filter(({ isWhole }) => !isWhole)).to.deep.equal([]);
    expect(unharmed.length).to.be.at.least(LEAST_UNHARMED);
    expect(kills.length).to.be.at.least(6);
  });

  it('afterwards every target serves again', async () => {
    await cluster.serving();
    await cluster.installed();
    for (const name of cluster.clients) {
      const { failed, perTarget } = await requestMany(cluster.lab.host(name), cluster.dvipa, 9);
      expect(failed).to.equal(0);
      expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
    }
  });

  it('an observer outside saw no number and no IV twice under one SPI', async () => {
    const { file, droppedByKernel } = await wire.stop();
    expect(droppedByKernel).to.equal(0);
    use = findEspRepeats(readPcap(file));
    console.log(`      ${use.packets} packets of ${use.perSa.size} SAs`);
    expect(use.repeats).to.deep.equal([]);
    expect(use.packets).to.be.greaterThan(
      (downloads.filter(({ isWhole }) => isWhole).length * DOWNLOAD_BYTES) / 1400,
    );
    expect(use.perSa.size).to.be.at.least(6);
  });

  it('no peer found a replay or a wrong ICV, and no hard limit was reached', () => {
    for (const name of cluster.clients)
      expect(readFileSync(cluster.lab.host(name).logFile('charon'), 'utf8')).to.not.match(PEER_REFUSES);
    expect(readFileSync(cluster.lab.router.logFile('charon'), 'utf8')).to.not.contain('after hard limit');
  });
});
