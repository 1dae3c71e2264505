import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import type { Host } from '../../src/lab/host.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';

const INNER = '10.1.1.1';
const ENDPOINT = '192.0.2.10';
/** The address of the NAT that both clients are behind later; client1's host is that NAT. */
const NAT = '192.0.2.201';
const CLIENT2 = '192.0.2.102';
const BYTES = 400_000;
const CLIENTS = ['client1', 'client2'] as const;
type Client = (typeof CLIENTS)[number];

interface Download {
  /** curl's exit status: 0, or 28 when it waited in vain. */
  readonly status: number | null;
  readonly server: string;
  /** All of it came, with the marker of this client. */
  readonly isRight: boolean;
}

/** client2 gets the inner address of client1. */
async function makeAlike(lab: Lab): Promise<void> {
  const file = join(hostFolder(lab.options.folder, 'client2'), 'swanctl/swanctl.conf');
  const text = readFileSync(file, 'utf8');
  expect(text).to.contain('local_ts = 10.1.2.1/32');
  writeFileSync(file, text.replace('local_ts = 10.1.2.1/32', `local_ts = ${INNER}/32`));
  const client = lab.host('client2');
  await client.must(['ip', 'addr', 'del', '10.1.2.1/32', 'dev', 'lo']);
  await client.must(['ip', 'addr', 'add', `${INNER}/32`, 'dev', 'lo']);
  await client.must(['swanctl', '--load-conns']);
}

const natOut = (address: string, port: number) => `
      chain out {
        type filter hook postrouting priority 0;
        ip daddr ${ENDPOINT} ip saddr ${address} udp sport 4500 udp sport set ${port} ip saddr set ${NAT}
      }`;
const natIn = (port: number, address: string) =>
  `ip saddr ${ENDPOINT} ip daddr ${NAT} udp dport ${port} udp dport set 4500 ip daddr set ${address} udp checksum set 0`;

/** Both behind one address, ports 40001 and 40002: what comes there reaches client1's host, which passes it on. */
async function putBehindNat(one: Host, two: Host): Promise<void> {
  await one.must(['ip', 'addr', 'add', `${NAT}/32`, 'dev', 'outside0']);
  await one.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0']);
  await one.must(['sysctl', '-qw', 'net.ipv4.conf.outside0.send_redirects=0']);
  const into = `
      chain into {
        type filter hook prerouting priority -300;
        ${natIn(40_001, '192.0.2.101')}
        ${natIn(40_002, CLIENT2)}
      }`;
  const table = (chains: string) => `table ip testnat {${chains}\n}`;
  await one.must(['nft', '-f', '-'], { input: table(natOut('192.0.2.101', 40_001) + into) });
  await two.must(['nft', '-f', '-'], { input: table(natOut(CLIENT2, 40_002)) });
}

/** Two stock clients with one inner address: charon gives both the same reqid and the same policies. */
describe('two stock clients that look alike', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let files = 0;

  before(async function () {
    this.timeout(120_000);
    const missing = missingForCluster(PROJECT_ROOT);
    if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
    const values = { rekey_time: 0, ike_rekey_time: 0 };
    cluster = await Cluster.up('alike', { clients: 2, targets: 2, values }, makeAlike);
    await cluster.installed();
  });

  after(() => cluster?.down());

  const host = (client: Client) => cluster.lab.host(client);

  async function download(client: Client, port: number, options: { slow?: boolean; maxTime?: number } = {}) {
    const [headers, body] = [cluster.file(`headers${++files}`), cluster.file(`body${files}`)];
    const bytes = options.slow === true ? 5 * BYTES : BYTES;
    const { status } = await host(client).exec(
      [
        'curl',
        '-s',
        '-D',
        headers,
        '-o',
        body,
        '--local-port',
        String(port),
        '--max-time',
        String(options.maxTime ?? 20),
        ...(options.slow === true ? ['--limit-rate', '400000'] : []),
        `http://${cluster.dvipa}/bytes/${bytes}?marker=${client}`,
      ],
      { timeoutMs: 40_000 },
    );
    if (status !== 0) return { status, server: '', isRight: false } satisfies Download;
    const hash = createHash('sha256').update(readFileSync(body)).digest('hex');
    const server = /x-dvipa-host: (\w+)/i.exec(readFileSync(headers, 'utf8'))?.[1] ?? 'nobody';
    return { status, server, isRight: hash === byteStreamSha256(bytes, client) } satisfies Download;
  }

  /** What the agents counted as `look-alike` so far, by target. */
  async function refused(): Promise<number[]> {
    const drops = await Promise.all(cluster.targets.map((target) => cluster.dropsAsTold(target)));
    return drops.map((each) => each['look-alike'] ?? 0);
  }

  const right = (server: string): Download => ({ status: 0, server, isRight: true });

  /** Both at once on the same port, each from a target of its own. */
  async function together(port: number): Promise<void> {
    const both = await Promise.all(CLIENTS.map((client) => download(client, port)));
    expect(both.map(({ isRight }) => isRight)).to.deep.equal([true, true]);
    expect(both.map(({ server }) => server).toSorted()).to.deep.equal(cluster.targets);
  }

  it('have one reqid in charon, and one address in their selectors', async () => {
    const sas = await cluster.ask('router1', 'sas');
    expect(new Set(sas.map(({ reqid }) => reqid)).size).to.equal(1);
    expect(new Set(sas.map(({ peer }) => peer)).size).to.equal(2);
  });

  it('download at once, from the same ports: each gets its own bytes, from another target', async () => {
    for (const port of [45_000, 45_001, 45_002]) await together(port);
    expect(await refused()).to.deep.equal([0, 0]);
  });

  it('go on over a rekey of either', async () => {
    const slow = CLIENTS.map((client) => download(client, 45_100, { slow: true }));
    for (const client of CLIENTS) {
      const before = await cluster.ask('router1', 'sas');
      await host(client).must(['swanctl', '--rekey', '--child', 'web']);
      await waitFor('the rekey is done', async () => {
        const now = await cluster.ask('router1', 'sas');
        return now.filter(({ id }) => !before.some((old) => old.id === id)).length === 2;
      });
    }
    const both = await Promise.all(slow);
    expect(both.map(({ isRight }) => isRight)).to.deep.equal([true, true]);
    expect(await refused()).to.deep.equal([0, 0]);
    await together(45_101);
  });

  it('are kept apart behind one NAT', async () => {
    await putBehindNat(host('client1'), host('client2'));
    for (const client of CLIENTS) await download(client, 45_200);
    const peers = [`${NAT}:40001`, `${NAT}:40002`];
    for (const agent of ['router1', ...cluster.targets]) {
      await waitFor(`${agent} has both behind the NAT`, async () => {
        const sas = await cluster.ask(agent, 'sas');
        return [...new Set(sas.map(({ peer }) => peer))].toSorted().join() === peers.join();
      });
    }
    for (const port of [45_201, 45_202]) await together(port);
    expect(await refused()).to.deep.equal([0, 0]);
  });

  it('are refused by name what the other one has, when there is one target', async () => {
    await cluster.lab.process('target2', 'agent').stop();
    await cluster.serving(1);
    const first = download('client1', 45_300, { slow: true });
    await waitFor('the first connection is open', async () =>
      (await cluster.ask('target1', 'connections')).some(({ sourcePort }) => sourcePort === 45_300),
    );
    expect(await download('client2', 45_300, { maxTime: 3 })).to.deep.equal({
      status: 28,
      server: '',
      isRight: false,
    });
    const { 'look-alike': count = 0 } = await cluster.dropsAsTold('target1');
    expect(count).to.be.greaterThan(0);
    // Any other port is free, and the first download is whole.
    expect(await download('client2', 45_301)).to.deep.equal(right('target1'));
    expect(await first).to.deep.equal(right('target1'));
  });
});
