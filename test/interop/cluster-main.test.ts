import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Capture, CaptureResult } from '../../src/lab/capture.ts';
import { countRekeys } from '../../src/lab/charon-log.ts';
import { download, newMarker, requestMany, requestUntil } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { type PcapFile, readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import {
  classifyCluster,
  classifyOutside,
  countClasses,
  countPacketsWith,
} from '../../src/lab/wire-class.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { listedSas, macOf, sendersOfEsp, slowDownload, waitForWay } from './support/observe.ts';

const SOFT_BYTES = 3_000_000;
const DOWNLOAD_BYTES = 2_000_000;
/** More than the soft limit, so that counts alone must cause a rekey. */
const REKEY_BYTES = 2 * SOFT_BYTES;
const REQUESTS = 24;
/** client1. */
const PEER = '192.0.2.101:4500';

interface Variant {
  readonly scenario: 'endpoint' | 'direct';
  readonly proposal: string;
  /** As charon writes it. */
  readonly algorithm: string;
  readonly filterMode: 'filter' | 'bypass';
}

const variants: readonly Variant[] = [
  { scenario: 'endpoint', proposal: 'aes256gcm16', algorithm: 'AES_GCM_16-256', filterMode: 'filter' },
  {
    scenario: 'direct',
    proposal: 'aes256-sha256',
    algorithm: 'AES_CBC-256/HMAC_SHA2_256_128',
    filterMode: 'bypass',
  },
];

/** The job itself, two stock clients and three targets, seen from outside: captures, charon, the clients' counters. */
for (const { scenario, proposal, algorithm, filterMode } of variants) {
  describe(`cluster, main job: ${scenario}, ${algorithm}, filter mode ${filterMode}`, function () {
    this.timeout(60_000);
    let cluster: Cluster;
    let dvipa = '';
    let captures: { outside: Capture; cluster: Capture; tuns: Capture[] };
    const sharedWay = algorithm.includes('GCM') ? /^stamping$/ : /^funnel$/;
    const marker = newMarker(`cluster-main ${scenario} ${process.pid}`);

    before(async function () {
      this.timeout(120_000);
      const missing = missingForCluster(PROJECT_ROOT);
      if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
      cluster = await Cluster.up('main', {
        scenario,
        tunnels: false,
        values: {
          esp_proposals: proposal,
          inbound_filter: filterMode,
          rekey_time: 0,
          ike_rekey_time: 0,
          rekey_bytes: SOFT_BYTES,
          life_bytes: 50 * SOFT_BYTES,
        },
      });
      ({ dvipa } = cluster);
      const tuns = [];
      const [outside, inside] = [await cluster.capture('outside'), await cluster.capture('cluster')];
      for (const target of cluster.targets) tuns.push(await cluster.capture(target));
      captures = { outside, cluster: inside, tuns };
      await cluster.initiateAll();
      await cluster.installed();
    });

    after(async () => {
      await cluster?.down();
    });

    const client = (name: string) => cluster.lab.host(name);

    it('charon negotiated the SAs, and every target has them', async () => {
      const { children } = await listedSas(cluster.lab.router);
      expect(children.map((child) => child.algorithm)).to.deep.equal([algorithm, algorithm]);
      const sas = await cluster.ask('router1', 'sas');
      expect(sas.map((sa) => `${sa.direction} ${sa.algorithm}`).toSorted()).to.deep.equal(
        ['in', 'in', 'out', 'out'].map((direction) => `${direction} ${algorithm}`),
      );
      const spis = sas.map(({ spi }) => spi).toSorted();
      expect(children.flatMap(({ spiIn, spiOut }) => [spiIn, spiOut]).toSorted()).to.deep.equal(spis);
      for (const target of cluster.targets) {
        const shadow = await cluster.ask(target, 'sas');
        expect(shadow.map(({ spi }) => spi).toSorted(), target).to.deep.equal(spis);
      }
    });

    it('connections of both clients are spread over the targets', async () => {
      for (const name of cluster.clients) {
        const { failed, perTarget } = await requestMany(client(name), dvipa, REQUESTS);
        expect(failed).to.equal(0);
        expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
        for (const count of Object.values(perTarget)) {
          expect(count).to.be.at.least(REQUESTS / cluster.targets.length / 2);
        }
      }
      // The application sees the client's own address: nothing translated it.
      const said = await client('client2').must(['curl', '-s', '--max-time', '5', `http://${dvipa}/`]);
      expect(said).to.match(/^target\d 10\.1\.2\.1\n$/);
    });

    it('a download on its own goes straight from the target to the client (exclusive lease)', async () => {
      // Long enough for a busy machine to start a capture before it ends.
      const slow = slowDownload(client('client1'), dvipa, 10, marker);
      // Until then: the lease of whoever answered this client last, or the shared way, since several just have.
      await waitForWay(cluster, PEER, new RegExp(`^exclusive:${await slow.server}$`));
      const wire = await cluster.capture('outside', ['dst', '192.0.2.101', 'and', 'udp', 'port', '4500']);
      expect(await slow.isWhole).to.equal(true);
      const senders = sendersOfEsp(readPcap((await wire.stop()).file));
      expect([...senders.keys()]).to.deep.equal([await macOf(client(await slow.server), 'outside0')]);
    });

    it('downloads from two targets at once go by way of the routing host', async () => {
      const wire = await cluster.capture('outside', ['dst', '192.0.2.101', 'and', 'udp', 'port', '4500']);
      const both = [1, 2].map(() => download(client('client1'), dvipa, DOWNLOAD_BYTES, marker, 50));
      await waitForWay(cluster, PEER, sharedWay);
      for (const got of await Promise.all(both)) {
        expect(got).to.include({ bytes: DOWNLOAD_BYTES, sha256ok: true });
      }
      const senders = sendersOfEsp(readPcap((await wire.stop()).file));
      const router = senders.get(await macOf(cluster.lab.router, 'outside0')) ?? 0;
      expect(router).to.be.greaterThan(DOWNLOAD_BYTES / 1400);
    });

    it('charon shows the bytes and packets of the whole cluster, as the client counted them', async () => {
      // Counters are pushed once a second.
      const agree = async () => {
        const [ours, theirs] = [await listedSas(cluster.lab.router), await listedSas(client('client2'))];
        const sent = theirs.children[0];
        const got = ours.children.find(({ spiIn }) => spiIn === sent?.spiOut);
        return sent !== undefined && got !== undefined && got.packetsIn === sent.packetsOut && { sent, got };
      };
      const { sent, got } = await waitFor('the figures agree', agree, { everyMs: 250 });
      expect(got.packetsIn).to.be.greaterThan(REQUESTS * 4);
      expect(got.packetsOut).to.equal(sent.packetsIn);
      const shares = await Promise.all(
        cluster.targets.map(async (target) =>
          (await cluster.ask(target, 'sas')).find(({ spi }) => spi === got.spiIn),
        ),
      );
      for (const share of shares) expect(share?.packets).to.be.greaterThan(0);
      expect(shares.reduce((sum, share) => sum + (share?.bytes ?? 0), 0)).to.equal(got.bytesIn);
    });

    it('counts alone cause a rekey, and no request fails over it', async () => {
      const logFrom = readFileSync(cluster.lab.router.logFile('charon')).length;
      let isOver = false;
      const meanwhile = requestUntil(client('client2'), dvipa, () => isOver);
      const got = await download(client('client1'), dvipa, REKEY_BYTES, marker, 50);
      isOver = true;
      expect(got).to.include({ bytes: REKEY_BYTES, sha256ok: true });
      expect((await meanwhile).failed).to.equal(0);
      const readLog = () =>
        readFileSync(cluster.lab.router.logFile('charon')).subarray(logFrom).toString('utf8');
      await waitFor('a rekey because of counts', () => countRekeys(readLog()).fromCounts > 0);
      const log = readLog();
      expect(log).to.not.contain('deleting CHILD_SA after hard limit');
      expect((await requestMany(client('client1'), dvipa, 6)).failed).to.equal(0);
    });

    it(`a port that no rule permits is refused on ${filterMode === 'filter' ? 'the routing host' : 'a target'}`, async () => {
      const before = await cluster.allDrops();
      const asked = await client('client1').exec(['curl', '-s', '--max-time', '1', `http://${dvipa}:8080/`]);
      expect(asked.status).to.equal(28);
      await waitFor('the refusal is counted', async () => {
        const after = await cluster.allDrops();
        return Object.keys(after).some((host) => difference(after[host] ?? {}, before[host] ?? {}).filter);
      });
      const after = await cluster.allDrops();
      const refusedOn = Object.keys(after).filter(
        (host) => difference(after[host] ?? {}, before[host] ?? {}).filter,
      );
      if (filterMode === 'filter') expect(refusedOn).to.deep.equal(['router1']);
      else expect(refusedOn.every((host) => cluster.targets.includes(host))).to.equal(true);
    });

    it('nothing crossed a network in clear, and no number or IV was used twice', async () => {
      const stopped = await stopAll(captures);
      const [outside, inside, ...tuns] = stopped.map(({ file }) => readPcap(file)) as [
        PcapFile,
        PcapFile,
        ...PcapFile[],
      ];
      expect(stopped.map(({ droppedByKernel }) => droppedByKernel)).to.deep.equal(stopped.map(() => 0));
      const classes = countClasses(outside, classifyOutside);
      expect(classes).to.not.have.any.keys('other', 'unreachable');
      expect(classes.esp).to.be.greaterThan(1000);
      expect(classes.ike).to.be.at.least(8);
      expect(countClasses(inside, classifyCluster)).to.not.have.property('other');
      expect(countPacketsWith(outside, marker) + countPacketsWith(inside, marker)).to.equal(0);
      // The control: where the marker has to be, it is seen. A packet on a TUN may be 64 KB long.
      const marked = tuns.flatMap(({ packets }) => packets.filter(({ bytes }) => bytes.includes(marker)));
      expect(marked.reduce((sum, { originalLength }) => sum + originalLength, 0)).to.be.greaterThan(1e6);
      expect(findEspRepeats(outside).repeats).to.deep.equal([]);
    });

    it('the routing host opened nothing but for late targets, every target did, and nothing was dropped but what had to be', async () => {
      const { counters, opening } = await cluster.ask('router1', 'status');
      expect(counters.opened).to.equal(opening?.inPlaceOfTargets).and.be.below(100);
      for (const target of cluster.targets) {
        expect((await cluster.ask(target, 'status')).counters.opened, target).to.be.greaterThan(0);
      }
      for (const [host, drops] of Object.entries(await cluster.allDrops())) {
        const { filter: _, ...others } = drops;
        expect(others, host).to.deep.equal({});
      }
    });
  });
}

async function stopAll(captures: {
  outside: Capture;
  cluster: Capture;
  tuns: Capture[];
}): Promise<CaptureResult[]> {
  return Promise.all([captures.outside, captures.cluster, ...captures.tuns].map((capture) => capture.stop()));
}
