import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import type { Host } from '../../src/lab/host.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { Nat } from './support/nat.ts';
import { faultsOf } from './support/road-warrior.ts';

const BYTES = 300_000;

/** In transport mode both have the NAT's address, inside as outside: their TCP connections differ in nothing but the SA. */
describe('two stock kernels behind one NAT, in transport mode', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let clients: readonly Host[];
  let nat: Nat;

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('alike2', {
      scenario: 'roads',
      clients: 1,
      kernels: 2,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0 },
    });
    clients = cluster.lab.hostsOf('kernel');
    nat = await Nat.build(cluster, '40001-40002');
    for (const client of clients)
      await client.must(['swanctl', '--initiate', '--child', 'direct', '--timeout', '30']);
    await cluster.installed(clients.length);
  });

  after(() => cluster?.down());

  /** A download of each client at once, from the same port: who served it, and whether each got its own bytes. */
  async function together(port: number): Promise<void> {
    const script = `curl -s -D /run/headers --local-port "$1" --max-time 20 "$2" | sha256sum
      sed -n 's/^x-dvipa-host: *//ip' /run/headers`;
    const both = await Promise.all(
      clients.map(async (client) => {
        const url = `http://${cluster.dvipa}/bytes/${BYTES}?marker=${client.name}`;
        const said = await client.must(['sh', '-c', script, 'download', String(port), url]);
        const [hash = '', server = ''] = said.split(/ +-\n|\r?\n/);
        return { server, isRight: hash === byteStreamSha256(BYTES, client.name) };
      }),
    );
    expect(both.map(({ isRight }) => isRight)).to.deep.equal([true, true]);
    expect(both.map(({ server }) => server).toSorted()).to.deep.equal(cluster.targets);
  }

  /** Nobody dropped what is right, and nobody's answer came to the other one. */
  async function expectNoFaults(): Promise<void> {
    for (const client of clients) expect(await kernelFaults(client), client.name).to.deep.equal({});
    expect(await faultsOf(cluster)).to.deep.equal([]);
    for (const drops of Object.values(await cluster.allDrops()))
      expect(drops).to.not.have.property('look-alike');
  }

  it('have SAs of one address, told apart by port and group', async () => {
    const sas = await cluster.ask('router1', 'sas');
    const peers = new Set(sas.map(({ peer }) => peer));
    expect([...peers].toSorted()).to.deep.equal([`${nat.address}:40001`, `${nat.address}:40002`]);
    expect(new Set(sas.map(({ mode, encapsulation }) => `${mode} ${encapsulation}`))).to.deep.equal(
      new Set(['transport udp']),
    );
    expect(new Set(sas.map(({ group }) => group)).size).to.equal(2);
  });

  it('download at once, from the same ports: each gets its own bytes, from another target', async () => {
    for (const port of [45_000, 45_001, 45_002]) await together(port);
    await expectNoFaults();
  });

  it('go on so after a rekey of either', async () => {
    for (const client of clients) {
      const before = await cluster.ask('router1', 'sas');
      await client.must(['swanctl', '--rekey', '--child', 'direct']);
      await waitFor('the rekey is done', async () => {
        const now = await cluster.ask('router1', 'sas');
        return now.filter(({ id }) => !before.some((old) => old.id === id)).length === 2;
      });
    }
    await cluster.installed(clients.length);
    for (const port of [45_100, 45_101]) await together(port);
    await expectNoFaults();
  });
});
