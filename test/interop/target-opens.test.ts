import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Capture, startCapture } from '../../src/lab/capture.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { openedPorts, PEER_PORT, PEER_SERVER, UDP_CLIENT } from './support/opened-connections.ts';

/** Ports of the default range, 32768 to 60999, for each of three targets. */
const BLOCK = 9410;
const AT_ONCE = 15;
const RULES =
  '{ action: permit, protocol: tcp, ports: "1024-65535" }, { action: permit, protocol: udp, ports: "1024-65535" }, ' +
  '{ action: permit, protocol: icmp }';

/** A CHILD_SA that charon makes when a packet wants it, and not before. */
const trap = (endpoint: string, peer: string, dvipa: string, inner: string) => `
connections {
  on-demand {
    version = 2
    local_addrs = ${endpoint}
    remote_addrs = ${peer}
    proposals = aes128-sha256-x25519
    mobike = no
    local {
      auth = pubkey
      certs = router1.pem
      id = router1
    }
    remote {
      auth = pubkey
      cacerts = ca.pem
    }
    children {
      demand {
        mode = tunnel
        local_ts = ${dvipa}/32
        remote_ts = ${inner}/32
        esp_proposals = aes128gcm16
        start_action = trap
      }
    }
  }
}
`;

describe('connections that targets open from the DVIPA', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const innerOf = (client: string) =>
    cluster.lab.plan.find(({ name }) => name === client)?.innerAddress as string;
  const host = (name: string) => cluster.lab.host(name);

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const values = { inbound_rules: RULES, rekey_time: 0, ike_rekey_time: 0 };
    cluster = await Cluster.up('opn', { tunnels: false, clients: 2, values });
    for (const client of cluster.clients) host(client).spawn('server', [process.execPath, '-e', PEER_SERVER]);
    await cluster.lab.initiate('client1');
    await cluster.installed(1);
  });

  after(() => cluster?.down());

  /** Runs curl so often at once on a target; returns what the server saw, one `address port` a connection. */
  async function connect(target: string, count: number, more = ''): Promise<string[]> {
    const curl = `curl -s --max-time 40 --interface ${cluster.dvipa} ${more} http://${innerOf('client1')}:${PEER_PORT}`;
    const script = `for i in $(seq ${count}); do ${curl}/slow | tail -n 1 & done; wait`;
    const { stdout } = await host(target).exec(['sh', '-c', script], { timeoutMs: 60_000 });
    return stdout.trim().split('\n').toSorted();
  }

  function expectLeased(index: number, ports: readonly number[]): void {
    const first = 32_768 + index * BLOCK;
    for (const port of ports) expect(port).to.be.within(first, first + BLOCK - 1);
  }

  it('all succeed, from several targets at once and over kill -9 of the routing agent, and no two have a port', async () => {
    const inside = await startCapture(host('client1'), 'ipsec0', cluster.file('opened.pcap'), {
      filter: ['tcp'],
    });
    const all = cluster.targets.map((target) => connect(target, AT_ONCE));
    await waitFor(
      'connections are open',
      async () => {
        const opened = await cluster.ask('router1', 'connections');
        return opened.filter(({ state }) => state === 'confirmed').length >= 3 * AT_ONCE;
      },
      { timeoutMs: 10_000 },
    );
    await cluster.lab.process('router1', 'agent').kill('SIGKILL');
    // These begin while nobody routes, and have to wait.
    const late = cluster.targets.map((target) => connect(target, 3));
    cluster.lab.startAgent('router1');
    await cluster.serving();
    const later = cluster.targets.map((target) => connect(target, AT_ONCE));
    for (const [count, group] of [
      [AT_ONCE, all],
      [3, late],
      [AT_ONCE, later],
    ] as const) {
      for (const [index, seen] of (await Promise.all(group)).entries()) {
        expect(seen).to.have.length(count);
        expect(seen.map((line) => line.split(' ')[0])).to.deep.equal(seen.map(() => cluster.dvipa));
        expectLeased(
          index,
          seen.map((line) => Number(line.split(' ')[1])),
        );
      }
    }
    expect((await inside.stop()).droppedByKernel).to.equal(0);
    const opened = openedPorts(inside.file);
    expect(opened.size).to.equal(3 * (AT_ONCE + 3 + AT_ONCE));
    for (const [port, numbers] of opened) expect(numbers.size, `SYNs from port ${port}`).to.equal(1);
  });

  it('UDP as well: each datagram is answered at its own target', async () => {
    const answered = await Promise.all(
      cluster.targets.map((target) =>
        host(target).must(['python3', '-c', UDP_CLIENT, cluster.dvipa, innerOf('client1'), '40'], {
          timeoutMs: 20_000,
        }),
      ),
    );
    for (const [index, text] of answered.entries()) {
      const ports = text.trim().split('\n').map(Number);
      expect(ports).to.have.length(40);
      expectLeased(index, ports);
    }
  });

  it('and pings: every echo is answered where it was asked', async () => {
    const pings = await Promise.all(
      cluster.targets.map((target) =>
        host(target).must([
          'ping',
          '-c',
          '10',
          '-i',
          '0.1',
          '-W',
          '2',
          '-I',
          cluster.dvipa,
          innerOf('client1'),
        ]),
      ),
    );
    const drops = JSON.stringify(await cluster.allDrops());
    for (const text of pings) expect(text, drops).to.contain('10 packets transmitted, 10 received');
  });

  it('a port that is leased to another target is not opened from, and one that is leased to nobody by one target at a time', async () => {
    const of = async (target: string, port: number) =>
      (await connect(target, 1, `--local-port ${port} --max-time 12`))[0];
    expect(await of('target2', 32_800), 'leased to target1').to.equal('');
    expect((await cluster.drops('target2'))['source-port-not-leased']).to.be.greaterThan(0);
    const seen = await Promise.all(cluster.targets.map((target) => of(target, 20_001)));
    expect(seen.filter((line) => line !== '')).to.deep.equal([`${cluster.dvipa} 20001`]);
    const taken = await Promise.all(
      cluster.targets.map(async (target) => (await cluster.drops(target))['source-port-taken'] ?? 0),
    );
    expect(taken.filter((count) => count > 0)).to.have.length(2);
  });

  describe('with only a trap towards the peer', () => {
    const captures: Capture[] = [];

    before(async () => {
      const { lab, dvipa } = cluster;
      const peer = lab.plan.find(({ name }) => name === 'client2');
      const conf = trap(lab.scenario.endpoint, peer?.outsideAddress ?? '', dvipa, innerOf('client2'));
      writeFileSync(join(hostFolder(lab.options.folder, 'router1'), 'swanctl/trap.conf'), conf);
      await lab.router.must(['swanctl', '--load-conns', '--file', '/etc/swanctl/trap.conf']);
    });

    const sas = async () => (await cluster.ask('router1', 'sas')).length;
    const timed = async (target: string) => {
      const url = `http://${innerOf('client2')}:${PEER_PORT}/`;
      const curl = [
        'curl',
        '-s',
        '--max-time',
        '20',
        '--interface',
        cluster.dvipa,
        '-w',
        '%{time_connect}',
        url,
      ];
      const [seen = '', seconds = ''] = (await host(target).must(curl, { timeoutMs: 25_000 })).split('\n');
      expect(seen).to.match(/^203\.0\.113\.10 \d+$/);
      return Number(seconds);
    };

    it('a target asks, charon makes the SA, and the first packet is not lost', async () => {
      expect(await sas()).to.equal(2);
      const capture = await cluster.capture('target1', ['tcp', 'dst', 'port', String(PEER_PORT)]);
      captures.push(capture);
      await timed('target1');
      await capture.stop();
      expect(await sas()).to.equal(4);
      expect((await cluster.drops('target1'))['queue-timeout'] ?? 0).to.equal(0);
      const opened = openedPorts(capture.file);
      expect(opened.size).to.equal(1);
    });

    it('it asks again when the peer has deleted the SA', async () => {
      await host('client2').must(['swanctl', '--terminate', '--child', 'web', '--timeout', '10']);
      await waitFor('the SA is gone', async () => (await sas()) === 2);
      await timed('target2');
      expect(await sas()).to.equal(4);
    });

    it('if charon gets no SA the packets time out, and are counted', async () => {
      await host('client2').must(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '10']);
      await waitFor('the SA is gone', async () => (await sas()) === 2);
      await cluster.lab.process('client2', 'charon').kill('SIGKILL');
      const curl = [
        'curl',
        '-s',
        '--max-time',
        '6',
        '--interface',
        cluster.dvipa,
        `http://${innerOf('client2')}/`,
      ];
      expect((await host('target3').exec(curl, { timeoutMs: 15_000 })).status).to.equal(28);
      await waitFor(
        'queue-timeout',
        async () => ((await cluster.drops('target3'))['queue-timeout'] ?? 0) > 0,
      );
    });
  });
});
