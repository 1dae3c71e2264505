import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Capture } from '../../src/lab/capture.ts';
import { terminate } from '../../src/lab/charon.ts';
import { newMarker } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { runDownloads } from './support/download-load.ts';
import { espNumbers, lostNumbers } from './support/esp-numbers.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { PEER_REFUSES, slowDownload, waitForWay } from './support/observe.ts';

/** Packets; Android's own, strongSwan's and Cisco's defaults, and a large one. */
const WINDOWS = [4, 32, 64, 1024];
/** kernel-libipsec's, which cannot be set. */
const LIBIPSEC_WINDOW = 128;
const PARALLEL = 8;
const BURSTS = 2;
const BURST_BYTES = 250_000;
/** The download that is alone at first, and again when the burst is over. */
const LONE_SECONDS = 5;

/**
 * Several targets send on one SA to a peer whose window is small, and the way of sending changes under them: one download goes on
 * alone (its target has all numbers), and more join it from all targets. What comes too far out of order, the peer's kernel
 * counts.
 */
describe('replay windows of peers', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let wire: Capture;
  const marker = newMarker(`replay-windows ${process.pid}`);
  /** Of each inbound SA of a peer, by destination and SPI. */
  const windowOf = new Map<string, number>();
  const kernel = () => cluster.lab.host('kernel1');

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const values = { rekey_time: 0, ike_rekey_time: 0 };
    cluster = await Cluster.up('win', { clients: 1, kernels: 1, targets: 3, tunnels: false, values });
    const { endpoint } = cluster.lab.scenario;
    wire = await cluster.capture('outside', ['src', 'host', endpoint, 'and', 'udp', 'port', '4500'], true);
    await cluster.lab.initiate('client1');
  });

  after(() => cluster?.down());

  const peerOf = (name: string) => cluster.lab.plan.find((host) => host.name === name)?.outsideAddress ?? '';

  /** Gives the kernel an SA with a window of that size. */
  async function negotiate(window: number): Promise<void> {
    const folder = `${hostFolder(cluster.lab.options.folder, 'kernel1')}/swanctl`;
    const conf = readFileSync(`${folder}/swanctl.conf`, 'utf8');
    const name = `window-${window}.conf`;
    writeFileSync(
      `${folder}/${name}`,
      conf.replace('mode = tunnel', `mode = tunnel\nreplay_window = ${window}`),
    );
    await terminate(kernel());
    await kernel().must(['swanctl', '--load-all', '--noprompt', '--file', `/etc/swanctl/${name}`]);
    await cluster.lab.initiate('kernel1');
    await cluster.installed(2);
    const states = await kernel().must(['ip', '-d', 'xfrm', 'state']);
    expect(states).to.match(new RegExp(`replay[-_]window ${window}\\b`));
    for (const [, spi = ''] of states.matchAll(/ spi 0x([0-9a-f]{8})/g))
      windowOf.set(`${peerOf('kernel1')} ${spi}`, window);
  }

  /** A download alone, then with others, and so on. */
  async function changeWays(name: string): Promise<void> {
    const { dvipa, lab } = cluster;
    const peer = `${peerOf(name)}:4500`;
    for (let burst = 1; burst <= BURSTS; burst++) {
      const lone = slowDownload(lab.host(name), dvipa, LONE_SECONDS, marker);
      await waitForWay(cluster, peer, new RegExp(`^exclusive:${await lone.server}$`));
      const load = { dvipa, parallel: PARALLEL, seconds: 1, spreadSeconds: 0, bytes: BURST_BYTES, marker };
      const others = runDownloads(lab.host(name), load);
      await waitForWay(cluster, peer, /^(?!exclusive|idle)./);
      const done = await others;
      expect(done.filter(({ isWhole }) => !isWhole)).to.deep.equal([]);
      expect(new Set(done.map(({ server }) => server)).size).to.equal(cluster.targets.length);
      expect(await lone.isWhole).to.equal(true);
    }
  }

  for (const window of WINDOWS) {
    it(`a Linux kernel with a window of ${window} drops nothing for its number, nor does kernel-libipsec`, async () => {
      await negotiate(window);
      await Promise.all([changeWays('kernel1'), changeWays('client1')]);
      expect(await kernelFaults(kernel())).to.deep.equal({});
      expect(readFileSync(cluster.lab.host('client1').logFile('charon'), 'utf8')).to.not.match(PEER_REFUSES);
    });
  }

  it('an observer outside saw no number twice, none missing without silence, and none behind a window', async () => {
    const { file, droppedByKernel } = await wire.stop();
    expect(droppedByKernel).to.equal(0);
    const capture = readPcap(file);
    expect(findEspRepeats(capture).repeats).to.deep.equal([]);
    const seen = espNumbers(capture);
    for (const { sa, packets, skew, gaps } of seen) {
      const window = windowOf.get(sa) ?? LIBIPSEC_WINDOW;
      console.log(`      ${sa}: ${packets} packets, window ${window}, at most ${skew} behind`);
      expect(skew, sa).to.be.below(window);
      expect(lostNumbers(gaps), sa).to.deep.equal([]);
    }
    expect(seen.length).to.be.at.least(WINDOWS.length + 1);
    expect([...windowOf.keys()].filter((sa) => seen.some((other) => other.sa === sa))).to.have.length(
      WINDOWS.length,
    );
  });
});
