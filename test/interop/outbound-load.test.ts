import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { newMarker } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { type LoadedDownload, runDownloads } from './support/download-load.ts';
import { type EspNumbers, espNumbers } from './support/esp-numbers.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { PEER_REFUSES } from './support/observe.ts';
import { countArrivals, readBooks, type TunnelBooks } from './support/tunnel-books.ts';

/** Of all peers together; what a machine of two cores carries beside the peers and the observer. */
const MBIT_PER_SECOND = Number(process.env['DVIPA_LOAD_MBIT'] ?? 30);
const PEERS = 3;
const PARALLEL = 8;
const BYTES_PER_SECOND = (MBIT_PER_SECOND * 1e6) / 8 / PEERS / PARALLEL;
/** Of one download: 5 s of it. */
const DOWNLOAD_BYTES = Math.round(5 * BYTES_PER_SECOND);
const REKEY_SECONDS = 7;
const SOFT_BYTES = Math.round(REKEY_SECONDS * PARALLEL * BYTES_PER_SECOND);
const HARD_BYTES = 6 * SOFT_BYTES;
const EVEN_SECONDS = 60;
const FULL_SECONDS = 20;
/** A hole in the numbers without so much silence before it is no burnt lease. */
const SILENCE_MS = 20;

/** What was seen of a load, from outside of the agents. */
interface Seen {
  readonly downloads: readonly LoadedDownload[];
  readonly numbers: readonly EspNumbers[];
  readonly repeats: number;
  /** Packets on the outside network that were no ESP. */
  readonly ike: number;
  readonly books: { readonly before: TunnelBooks; readonly after: TunnelBooks };
  readonly seconds: number;
}

/** Two stock clients and a Linux kernel download from three targets at once, each on one SA that is rekeyed all the time. */
describe('outbound load', function () {
  this.timeout(180_000);
  let cluster: Cluster;
  const marker = newMarker(`outbound-load ${process.pid}`);
  const names = ['client1', 'client2', 'kernel1'];

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('load', {
      clients: 2,
      kernels: 1,
      targets: 3,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0, rekey_bytes: SOFT_BYTES, life_bytes: HARD_BYTES },
    });
    await countArrivals(cluster.lab.host('kernel1'), cluster.lab.scenario.endpoint);
    for (const name of names) await cluster.lab.initiate(name);
    await cluster.installed(PEERS);
  });

  after(() => cluster?.down());

  const address = (name: string) => cluster.lab.plan.find((host) => host.name === name)?.outsideAddress;

  /** When two looks find the same, nothing is under way. */
  async function settledBooks(): Promise<TunnelBooks> {
    let last = '';
    return waitFor(
      'nothing is under way',
      async () => {
        const books = await readBooks(cluster);
        const now = JSON.stringify([books.taken, [...books.peers]]);
        const isSettled = now === last;
        last = now;
        return isSettled && books;
      },
      { timeoutMs: 20_000, everyMs: 300 },
    );
  }

  async function load(seconds: number, bytesPerSecond: number | undefined): Promise<Seen> {
    const { dvipa } = cluster;
    const before = await settledBooks();
    const filter = ['src', 'host', cluster.lab.scenario.endpoint, 'and', 'udp', 'port', '4500'];
    const wire = await cluster.capture('outside', filter, true);
    const options = {
      ...{ dvipa, parallel: PARALLEL, seconds, bytes: DOWNLOAD_BYTES, marker },
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    };
    const startedAt = performance.now();
    const downloads = await Promise.all(names.map((name) => runDownloads(cluster.lab.host(name), options)));
    const after = await settledBooks();
    const { file, droppedByKernel } = await wire.stop();
    expect(droppedByKernel).to.equal(0);
    const capture = readPcap(file);
    const { packets, repeats } = findEspRepeats(capture);
    return {
      downloads: downloads.flat(),
      numbers: espNumbers(capture),
      repeats: repeats.length,
      ike: capture.packets.length - packets,
      books: { before, after },
      seconds: (performance.now() - startedAt) / 1000,
    };
  }

  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const sasTo = ({ numbers }: Seen, name: string) =>
    numbers.filter(({ destination }) => destination === address(name));
  const onWire = (seen: Seen, name: string) => sum(sasTo(seen, name).map(({ packets }) => packets));

  function dropsIn({ books }: Seen): Record<string, number> {
    const all: Record<string, number> = {};
    for (const [host, now] of Object.entries(books.after.drops))
      for (const [reason, count] of Object.entries(difference(now, books.before.drops[host] ?? {})))
        all[`${host} ${reason}`] = count;
    return all;
  }

  function tell(what: string, seen: Seen): void {
    const bytes = sum(seen.downloads.map((download) => download.bytes));
    const { taken } = seen.books.after;
    const lines = [
      `${what}: ${seen.downloads.length} downloads, ${((bytes * 8) / 1e6 / seen.seconds).toFixed(1)} Mbit/s, ` +
        `${taken - seen.books.before.taken} packets, skew at most ${Math.max(...seen.numbers.map(({ skew }) => skew))}`,
      ...names.map(
        (name) => `${name}: ${sasTo(seen, name).length} SAs, ${JSON.stringify(peerOf(seen, name))}`,
      ),
      `drops: ${JSON.stringify(dropsIn(seen))}, full TUN queue ${tunOverflow(seen)}, gaps ${JSON.stringify(seen.numbers.flatMap(({ gaps }) => gaps))}`,
    ];
    for (const line of lines) console.log(`      ${line}`);
  }

  const tunOverflow = ({ books: { before, after } }: Seen) => after.tunOverflow - before.tunOverflow;
  const taken = ({ books: { before, after } }: Seen) => after.taken - before.taken;

  function peerOf(seen: Seen, name: string) {
    const [now, earlier] = [seen.books.after.peers.get(name), seen.books.before.peers.get(name)];
    return {
      onWire: onWire(seen, name),
      received: (now?.received ?? Number.NaN) - (earlier?.received ?? 0),
      overflow: (now?.overflow ?? Number.NaN) - (earlier?.overflow ?? 0),
    };
  }

  /** What must hold at any rate. */
  function judge(seen: Seen): void {
    const failed = seen.downloads.filter(({ isWhole }) => !isWhole);
    expect(failed, 'no failed request').to.deep.equal([]);
    expect(new Set(seen.downloads.map(({ server }) => server)).size).to.equal(cluster.targets.length);
    expect(seen.repeats, 'no number and no IV twice').to.equal(0);
    const lost = seen.numbers.flatMap(({ gaps }) => gaps.filter(({ silenceMs }) => silenceMs < SILENCE_MS));
    const drops = dropsIn(seen);
    const afterNumber = sum(
      Object.entries(drops).map(([reason, count]) => (reason.endsWith('send-failed') ? count : 0)),
    );
    expect(sum(lost.map(({ count }) => count)), 'missing numbers').to.equal(afterNumber);
    const wire = sum(names.map((name) => onWire(seen, name)));
    expect(taken(seen), 'packets that are not on the wire').to.equal(wire + sum(Object.values(drops)));
    for (const name of names) {
      const { onWire: sent, received, overflow } = peerOf(seen, name);
      expect(sent - received, `${name}: packets that did not come`).to.be.within(
        overflow - seen.ike,
        overflow,
      );
      if (overflow === 0) expect(received, name).to.equal(sent);
    }
  }

  it(`${MBIT_PER_SECOND} Mbit/s: no packet is lost, no request fails, and each SA is rekeyed every 5 to 10 s`, async () => {
    const seen = await load(EVEN_SECONDS, BYTES_PER_SECOND);
    tell('even rate', seen);
    judge(seen);
    expect([dropsIn(seen), tunOverflow(seen)]).to.deep.equal([{}, 0]);
    for (const name of names) {
      expect(peerOf(seen, name).overflow, name).to.equal(0);
      expect(sasTo(seen, name).length, name).to.be.within(EVEN_SECONDS / 10, EVEN_SECONDS / 5 + 2);
    }
  });

  it('saturation: no request fails, and every packet that is missing has a name', async () => {
    const seen = await load(FULL_SECONDS, undefined);
    tell('saturation', seen);
    judge(seen);
    for (const name of names) expect(sasTo(seen, name).length, name).to.be.at.least(2);
  });

  it('no peer refused a packet, and no hard limit was reached', async () => {
    for (const name of ['client1', 'client2'])
      expect(readFileSync(cluster.lab.host(name).logFile('charon'), 'utf8')).to.not.match(PEER_REFUSES);
    expect(await kernelFaults(cluster.lab.host('kernel1'))).to.deep.equal({});
    const log = readFileSync(cluster.lab.router.logFile('charon'), 'utf8');
    expect(log).to.not.contain('after hard limit');
  });
});
