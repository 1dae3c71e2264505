import { expect } from 'chai';
import type { Host } from '../../src/lab/host.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { keepTalking, listedSas, slowDownload } from './support/observe.ts';

const CLIENT = '192.0.2.101';
/** Another address of the NAT. */
const OTHER = '192.0.2.201';
/** Nobody's, and nobody answers there: the attacker writes it into copies. */
const ATTACKER = '192.0.2.250';

/** The NAT in front of client1: what leaves has this address and port, what comes there goes to the client. Takes effect at once. */
async function mapTo(client: Host, address: string, port: number): Promise<void> {
  const rules = `
    table ip testnat
    delete table ip testnat
    table ip testnat {
      chain out {
        type filter hook postrouting priority 0;
        ip daddr 192.0.2.10 udp sport 4500 udp sport set ${port} ip saddr set ${address}
      }
      chain into {
        type filter hook prerouting priority -300;
        ip saddr 192.0.2.10 ip daddr ${address} udp dport ${port} udp dport set 4500 ip daddr set ${CLIENT} udp checksum set 0
      }
    }`;
  await client.must(['nft', '-f', '-'], { input: rules });
}

/** Sends each datagram of a capture again, from the attacker's address. */
const SEND_COPIES = `
import sys
from scapy.all import Ether, IP, UDP, get_if_hwaddr, rdpcap, sendp
copies = []
for packet in rdpcap(sys.argv[1]):
    copy = packet.copy()
    copy[Ether].src = get_if_hwaddr('outside0')  # or the bridge takes this for client1's place
    copy[IP].src = sys.argv[2]
    for checksum in (copy[IP], copy[UDP]):
        del checksum.chksum
    if len(sys.argv) > 3:  # forged: a number that is far ahead
        esp = bytearray(bytes(copy[UDP].payload))
        esp[4:8] = (int.from_bytes(esp[4:8], 'big') + 1000000).to_bytes(4, 'big')
        copy[UDP].remove_payload()
        copy = copy / bytes(esp)
    copies.append(copy)
sendp(copies, iface='outside0', verbose=False)
print(len(copies))
`;

describe('NAT rebinding of a stock client', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let client: Host;

  before(async function () {
    this.timeout(120_000);
    const missing = missingForCluster(PROJECT_ROOT);
    if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
    cluster = await Cluster.up('nat', {
      clients: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0 },
    });
    client = cluster.lab.host('client1');
    await client.must(['ip', 'addr', 'add', `${OTHER}/32`, 'dev', 'outside0']);
    await mapTo(client, CLIENT, 40_001);
    await cluster.initiateAll();
    await cluster.installed();
  });

  after(async () => {
    await cluster?.down();
  });

  /** Where every host of the cluster has the peers now. */
  const peersOf = async (host: string) =>
    [...new Set((await cluster.ask(host, 'sas')).map(({ peer }) => peer))].toSorted();
  const followed = async (peer: string) => {
    for (const host of ['router1', ...cluster.targets]) {
      await waitFor(`${host} has the peer at ${peer}`, async () => (await peersOf(host)).includes(peer));
      expect(await peersOf(host), host).to.have.lengthOf(2); // both directions, and client2
    }
    const { text } = await listedSas(cluster.lab.router);
    const [address, port] = peer.split(':');
    expect(text).to.contain(`'client1' @ ${address}[${port}]`);
  };

  for (const [what, address, port] of [
    ['port', CLIENT, 40_002],
    ['address and port', OTHER, 50_003],
    ['way back to where it was', CLIENT, 40_001],
  ] as const) {
    it(`goes on with a download whose mapping gets another ${what}`, async () => {
      const slow = slowDownload(client, cluster.dvipa, 5);
      await slow.server;
      const before = await cluster.allDrops();
      const talk = keepTalking(client, cluster.dvipa, 5);
      await mapTo(client, address, port);
      await followed(`${address}:${port}`);
      expect(await slow.isWhole).to.equal(true);
      await talk;
      const after = await cluster.allDrops();
      for (const [host, drops] of Object.entries(after))
        expect(difference(drops, before[host] ?? {}), host).to.deep.equal({});
      // New connections, to whichever target.
      for (let i = 0; i < 6; i++)
        await client.must(['curl', '-s', '--max-time', '5', `http://${cluster.dvipa}/`]);
    });
  }

  it('moves for nobody who sends copies of recorded packets from elsewhere, genuine or forged', async () => {
    const wire = await cluster.capture('outside', ['src', CLIENT, 'and', 'udp', 'src', 'port', '40001']);
    const slow = slowDownload(client, cluster.dvipa, 4);
    await slow.server;
    const { file } = await wire.stop();
    expect(readPcap(file).packets.length).to.be.greaterThan(5);
    const before = await cluster.allDrops();
    const attacker = cluster.lab.host('client2');
    for (const forged of [[], ['forged']])
      await attacker.must(['/usr/bin/python3', '-c', SEND_COPIES, file, ATTACKER, ...forged], {
        timeoutMs: 20_000,
      });
    expect(await slow.isWhole).to.equal(true);
    const after = await cluster.allDrops();
    const [atRouter, atTargets] = [
      difference(after['router1'] ?? {}, before['router1'] ?? {}),
      cluster.targets.map((host) => difference(after[host] ?? {}, before[host] ?? {})),
    ];
    // The control: the attack was there. Copies are refused as replays, forged ones fail at a target.
    expect(atRouter.replay ?? 0).to.be.greaterThan(0);
    expect(atTargets.reduce((sum, drops) => sum + (drops.icv ?? 0), 0)).to.be.greaterThan(0);
    expect(atRouter).to.not.have.property('coupling-not-granted');
    for (const host of ['router1', ...cluster.targets])
      expect(await peersOf(host), host).to.deep.equal([`${CLIENT}:40001`, '192.0.2.102:4500']);
    const { text } = await listedSas(cluster.lab.router);
    expect(text).to.not.contain(ATTACKER);
  });
});
