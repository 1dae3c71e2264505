import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Capture } from '../../src/lab/capture.ts';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { newMarker } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import {
  classifyCluster,
  classifyOutside,
  countClasses,
  countPacketsWith,
} from '../../src/lab/wire-class.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';

const RESTARTS = 2;
const DOWNLOADS_PER_CLIENT = 2;
const BYTES = 8_000_000;
/** Slow enough to go on over all restarts, on a fast machine too; fast enough to be a load. */
const BYTES_PER_SECOND = 600_000;
const SECONDS = 120;
/** A restart begins when each transfer has moved so much more since the last one. */
const STEP_BYTES = BYTES / 8;

interface Running {
  readonly what: string;
  /** True if all of it came, with the right SHA-256. */
  readonly isWhole: Promise<boolean>;
  isOver: boolean;
}

/**
 * The routing agent is killed twice while clients move files both ways at once, on several targets and on both ways of sending (a
 * client alone on its SA, and two targets that share one). IKE goes on in charon; what moves goes on when the agent is back.
 */
describe('kill -9 of the routing agent under load', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let upload = '';
  const marker = newMarker(`restart-under-load ${process.pid}`);
  const captures: Capture[] = [];
  const running: Running[] = [];

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const options = { tunnels: false, values: { rekey_time: 0, ike_rekey_time: 0 } };
    cluster = await Cluster.up('rul', options, async ({ options: { folder } }) => {
      const file = `${folder}/hosts/router1/dvipa/dvipa.yaml`;
      const permitted = 'protocol: tcp, ports: "80"';
      const text = readFileSync(file, 'utf8');
      expect(text).to.contain(permitted);
      writeFileSync(file, text.replace(permitted, `protocol: tcp, ports: "80-${UPLOAD_PORT}"`));
    });
    upload = startUploads(cluster, BYTES);
    for (const network of ['outside', 'cluster']) captures.push(await cluster.capture(network));
    await cluster.initiateAll();
    await cluster.installed();
  });

  after(() => cluster?.down());

  function start(client: string, what: string, script: string, sha256: string): void {
    const argv = ['sh', '-c', script, 'transfer', cluster.dvipa];
    const finished = cluster.lab.host(client).exec(argv, { timeoutMs: (SECONDS + 10) * 1000 });
    const one: Running = {
      what: `${client}: ${what}`,
      isWhole: finished.then(({ stdout }) => {
        one.isOver = true;
        return stdout.startsWith(sha256);
      }),
      isOver: false,
    };
    running.push(one);
  }

  const curl = `curl -s --max-time ${SECONDS} --limit-rate ${BYTES_PER_SECOND}`;

  /** Bytes of all clients' ESP so far, both ways, as charon on the clients counts them. */
  async function moved(): Promise<number> {
    const counts = cluster.clients.map(async (name) => {
      const text = await cluster.lab.host(name).must(['swanctl', '--list-sas']);
      return [...text.matchAll(/ (\d+) bytes/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
    });
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  it('restarts while all transfers are under way, with a higher epoch and the same SAs', async () => {
    const before = await cluster.ask('router1', 'sas');
    for (const client of cluster.clients)
      for (let i = 1; i <= DOWNLOADS_PER_CLIENT; i++)
        start(
          client,
          `download ${i}`,
          `${curl} "http://$1/bytes/${BYTES}?marker=${marker}" | sha256sum`,
          byteStreamSha256(BYTES, marker),
        );
    const put = `${curl} --data-binary @${upload} "http://$1:${UPLOAD_PORT}/"`;
    start('client1', 'upload', put, byteStreamSha256(BYTES));
    for (let restart = 1; restart <= RESTARTS; restart++) {
      const from = await moved();
      await waitFor('all of them move', async () => (await moved()) > from + STEP_BYTES * running.length, {
        timeoutMs: 60_000,
      });
      const { epoch } = await cluster.ask('router1', 'status');
      await cluster.lab.process('router1', 'agent').kill('SIGKILL');
      expect(running.filter(({ isOver }) => isOver).map(({ what }) => what)).to.deep.equal([]);
      cluster.lab.startAgent('router1');
      await cluster.serving();
      await cluster.installed();
      expect((await cluster.ask('router1', 'status')).epoch).to.be.greaterThan(epoch);
    }
    const ids = (sas: typeof before) => sas.map(({ id, spi }) => `${id} ${spi}`).toSorted();
    expect(ids(await cluster.ask('router1', 'sas'))).to.deep.equal(ids(before));
  });

  it('every transfer goes on to its end, with the right hash', async () => {
    const ended = await Promise.all(
      running.map(async ({ what, isWhole }) => ({ what, isWhole: await isWhole })),
    );
    expect(ended).to.deep.equal(running.map(({ what }) => ({ what, isWhole: true })));
  });

  it('nothing went over a network in clear, and no number and no IV was used twice', async () => {
    const [outside, inside] = await Promise.all(captures.map((capture) => capture.stop()));
    if (outside === undefined || inside === undefined) throw new Error('no captures');
    expect([outside, inside].map(({ droppedByKernel }) => droppedByKernel)).to.deep.equal([0, 0]);
    const [wire, link] = [readPcap(outside.file), readPcap(inside.file)];
    expect(countClasses(wire, classifyOutside)).to.not.have.any.keys('other', 'unreachable');
    expect(countClasses(link, classifyCluster)).to.not.have.property('other');
    expect(countPacketsWith(wire, marker) + countPacketsWith(link, marker)).to.equal(0);
    const { packets, perSa, repeats } = findEspRepeats(wire);
    expect(repeats).to.deep.equal([]);
    expect(packets).to.be.greaterThan((running.length * BYTES) / 1400);
    expect(perSa.size).to.be.at.least(2 * cluster.clients.length);
  });
});
