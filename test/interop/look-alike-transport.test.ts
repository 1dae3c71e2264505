import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import type { Host } from '../../src/lab/host.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { Nat } from './support/nat.ts';
import { faultsOf } from './support/road-warrior.ts';

const BYTES = 1_600_000;
const SECONDS = 4;

interface Download {
  /** All of it came, with the marker of this client. */
  readonly isRight: Promise<boolean>;
  /** Who serves it; known when the first bytes are there. */
  readonly server: Promise<string>;
}

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

  /** A download from that port, slow enough that the other client's begin meanwhile. */
  function download(client: Host, port: number): Download {
    const headers = `/run/headers-${port}`;
    const script = 'curl -s -D "$1" --local-port "$2" --limit-rate "$3" --max-time 20 "$4" | sha256sum';
    const url = `http://${cluster.dvipa}/bytes/${BYTES}?marker=${client.name}`;
    const argv = ['sh', '-c', script, 'download', headers, String(port), String(BYTES / SECONDS), url];
    const serverNow = async () =>
      /^x-dvipa-host: (\S+)/im.exec((await client.exec(['cat', headers])).stdout)?.[1];
    return {
      isRight: client
        .exec(argv, { timeoutMs: 30_000 })
        .then(({ stdout }) => stdout.startsWith(byteStreamSha256(BYTES, client.name))),
      server: waitFor(`${client.name} is answered on port ${port}`, serverNow),
    };
  }

  /**
   * Two downloads of one client, then two of the other one from the same ports. Round robin alone would begin with the same
   * target again.
   */
  async function together(port: number): Promise<void> {
    const all: Download[] = [];
    for (const client of clients) {
      const servers: string[] = [];
      for (const each of [port, port + 1]) {
        const one = download(client, each);
        all.push(one);
        servers.push(await one.server);
      }
      expect(servers.toSorted()).to.deep.equal(cluster.targets);
    }
    const [first, second, ...others] = await Promise.all(all.map(({ server }) => server));
    expect(others).to.deep.equal([second, first]);
    for (const { isRight } of all) expect(await isRight).to.equal(true);
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
    await together(45_000);
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
    await together(45_100);
    await expectNoFaults();
  });
});
