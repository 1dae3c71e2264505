import { expect } from 'chai';
import { waitFor } from '../../src/lab/wait-for.ts';
import { ipv4Hex, udpHex } from './support/ipv4-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';
import { burst, sendSuperPackets } from './support/super-packets.ts';

const CLIENT = '10.9.0.1';
const HOST = '10.9.0.2';
const CLIENT6 = 'fd09::1';
const HOST6 = 'fd09::2';
const PORT = 4500;
const scope = { dvipas: [], endpoints: [HOST, HOST6] };

const captured = (packet: string) => Buffer.from(packet, 'hex');
const headerOf = (packet: Buffer) => ((packet[0] as number) >> 4 === 4 ? 28 : 48);
const numberOf = (packet: Buffer) => packet.readUInt32BE(headerOf(packet) + 4);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** What stands in the headers of a datagram, without the checksum that its sender left to others. */
function shapeOf(packet: Buffer): string {
  const header = Buffer.from(packet.subarray(0, headerOf(packet)));
  header.writeUInt16BE(0, header.length - 2);
  // The IPv4 identification counts on, and the header's checksum with it.
  if (header.length === 28) {
    header.writeUInt16BE(0, 4);
    header.writeUInt16BE(0, 10);
  }
  return `${header.toString('hex')} ${packet.subarray(header.length).toString('hex')}`;
}

describe('capture ring in network namespaces', function () {
  this.timeout(30_000);
  let client: NetHost;
  let host: NetHost;
  let clientWorker: NetWorker;
  let hostWorker: NetWorker;

  before(async () => {
    client = new NetHost('ring-client');
    host = new NetHost('ring-host');
    NetHost.wire(client, 'outside0', host, 'outside0', true);
    for (const [each, v4, v6] of [
      [client, CLIENT, CLIENT6],
      [host, HOST, HOST6],
    ] as const) {
      each.ip(`address add ${v4}/24 dev outside0`);
      each.ip(`address add ${v6}/64 dev outside0 nodad`);
    }
    [clientWorker, hostWorker] = await Promise.all([client.worker(), host.worker()]);
    await clientWorker.do('raw', 0, false);
    await waitFor('the link is up', () => {
      try {
        client.run(`ping -c1 -W1 ${HOST} && ping -c1 -W1 ${HOST6}`);
        return true;
      } catch {
        return false;
      }
    });
  });
  after(async () => {
    await client?.close();
    await host?.close();
  });

  const to = (address: string) => ({ address, port: PORT });
  /** Everything that waits, by vectors of so many packets. */
  async function drained(name: string, packets = 256): Promise<Buffer[]> {
    const all: string[] = [];
    for (;;) {
      const some = await hostWorker.do('drain', name, packets);
      if (some.length === 0) return all.map(captured);
      all.push(...some);
    }
  }
  async function withCaptures<T>(names: Readonly<Record<string, boolean>>, body: () => Promise<T>) {
    for (const [name, plain] of Object.entries(names))
      await hostWorker.do('captureIdle', name, 'outside0', { ...scope, plain });
    try {
      return await body();
    } finally {
      for (const name of Object.keys(names)) await hostWorker.do('close', name);
    }
  }
  const single = (number: number, bytes: number) =>
    ipv4Hex(
      CLIENT,
      HOST,
      17,
      udpHex(PORT, PORT, `c1234567${number.toString(16).padStart(8, '0')}${'00'.repeat(bytes)}`),
    );

  for (const [family, address] of [
    ['IPv4', HOST],
    ['IPv6', HOST6],
  ] as const) {
    it(`capture ring gives of a super-packet over ${family} the datagrams that come where its sender cuts it itself`, async () => {
      const bursts = [burst(1400, 40, 900), burst(100, 64), burst(9, 2), burst(1400, 1), burst(600, 8, 8)];
      const count = bursts.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const [whole, cut] = await withCaptures({ ring: false, plain: true }, async () => {
        sendSuperPackets(client, to(address), bursts);
        const asOne = await drained('ring');
        expect((await drained('plain')).length, 'one by one, a super-packet is one, or too big').to.be.below(
          bursts.length + 1,
        );
        client.run('ethtool -K outside0 tx-udp-segmentation off');
        sendSuperPackets(client, to(address), bursts);
        client.run('ethtool -K outside0 tx-udp-segmentation on');
        expect((await drained('ring')).map(shapeOf)).to.deep.equal(asOne.map(shapeOf));
        return [asOne, await drained('plain')] as const;
      });
      expect(whole.map(numberOf)).to.deep.equal(upTo(count));
      expect(whole.map(shapeOf)).to.deep.equal(cut.map(shapeOf));
      expect(await hostWorker.do('refusals')).to.deep.equal([]);
    });
  }

  it('capture ring keeps the order, and loses nothing when a vector is full in the middle of a super-packet', async () => {
    await withCaptures({ ring: false }, async () => {
      // Of all three kinds: in a frame, longer than a frame, and a super-packet that fits into a frame.
      sendSuperPackets(
        client,
        to(HOST),
        upTo(30).map((i) => burst([1400, 50, 300][i % 3] as number, i % 4 === 0 ? 1 : 17)),
      );
      const count = upTo(30).reduce((sum, i) => sum + (i % 4 === 0 ? 1 : 17), 0);
      expect((await drained('ring', 7)).map(numberOf)).to.deep.equal(upTo(count));
      expect(await hostWorker.do('losses', 'ring')).to.deep.equal({ overrun: 0, tooBig: 0 });
    });
  });

  it('capture ring is readable as long as part of a super-packet is left', async () => {
    await hostWorker.do('capture', 'outside0', scope);
    try {
      // A worker reads 16 packets each time it is told that there are some.
      sendSuperPackets(client, to(HOST), [burst(1300, 41), burst(9, 1)]);
      const got = await hostWorker.do('take', 'outside0', 'c123456700000029');
      expect(got.map(captured).map(numberOf)).to.deep.equal(upTo(42));
    } finally {
      await hostWorker.do('close', 'outside0');
    }
  });

  it('capture ring counts what came while nobody read, super-packets too, and gives the rest in order', async () => {
    await withCaptures({ ring: false }, async () => {
      const bursts = upTo(900).map(() => burst(1400, 40));
      sendSuperPackets(client, to(HOST), bursts);
      const got = (await drained('ring')).map(numberOf);
      const { overrun } = await hostWorker.do('losses', 'ring');
      expect(got).to.deep.equal(upTo(got.length));
      expect(overrun, 'super-packets')
        .to.equal(bursts.length - got.length / 40)
        .and.to.be.greaterThan(0);
      sendSuperPackets(client, to(HOST), [burst(1400, 40), burst(1000, 2)]);
      expect((await drained('ring')).map(numberOf)).to.deep.equal(upTo(42));

      const sent = await clientWorker.do('flood', 'raw', single(7, 1000), 10_000);
      const left = (await drained('ring')).length;
      const lost = await hostWorker.do('losses', 'ring');
      expect(left).to.be.greaterThan(0);
      expect(lost.overrun).to.be.greaterThan(0);
      expect(left + lost.overrun).to.be.at.most(sent);
    });
  });

  it('capture ring goes on after its link was down, with super-packets that came before', async () => {
    await withCaptures({ ring: false }, async () => {
      sendSuperPackets(client, to(HOST), [burst(1400, 20), burst(1400, 20)]);
      host.ip('link set outside0 down');
      host.ip('link set outside0 up');
      host.ip(`address add ${HOST6}/64 dev outside0 nodad`);
      await waitFor('the link is up again', () => host.ip('link show outside0').includes('state UP'));
      expect((await drained('ring')).map(numberOf)).to.deep.equal(upTo(40));
      sendSuperPackets(client, to(HOST), [burst(1400, 3)]);
      await waitFor('packets come again', async () => (await drained('ring')).length === 3);
    });
  });

  it('capture ring swaps its filter at once, for super-packets as for others', async () => {
    await withCaptures({ ring: false }, async () => {
      sendSuperPackets(client, to(HOST), [burst(1400, 10)]);
      await hostWorker.do('captureOther', 'ring', { dvipas: [], endpoints: [HOST6] });
      sendSuperPackets(client, to(HOST), [burst(1400, 10)]);
      sendSuperPackets(client, to(HOST6), [burst(1400, 5)]);
      const got = (await drained('ring')).map(headerOf);
      expect(got.filter((bytes) => bytes === 28).length).to.equal(10);
      expect(got.filter((bytes) => bytes === 48).length).to.equal(5);
    });
  });

  it('a host sends itself a packet from a peer, and its socket on port 4500 gets it', async () => {
    // As JoinedIke does with IKE out of a super-packet: the guard and rp_filter let it through.
    const guard = { dvipas: [], endpoints: [HOST] };
    await hostWorker.do('routerInstall', guard);
    await hostWorker.do('raw', 0x44564950);
    await hostWorker.do('udp', 'charon', '0.0.0.0', PORT);
    host.run('echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter');
    const message = `00000000${'5a'.repeat(80)}`;
    const packet = ipv4Hex(CLIENT, HOST, 17, udpHex(PORT, PORT, message));
    expect(await hostWorker.do('send', 'raw', packet)).to.deep.equal([0]);
    expect(await hostWorker.do('take', 'charon', message)).to.deep.equal([`${CLIENT}:${PORT} ${message}`]);
    await hostWorker.do('routerRemove', guard);
  });

  it('capture without Ethernet headers goes back to one packet a call, and says why', async () => {
    host.ip('tuntap add mode tun tun0');
    host.ip('link set tun0 up');
    await hostWorker.do('captureIdle', 'tun', 'tun0', scope);
    expect(await hostWorker.do('refusals')).to.deep.equal(['tun0 has no Ethernet header (type 65534)']);
    await hostWorker.do('close', 'tun');
    const missing = await hostWorker.do('captureIdle', 'none', 'nowhere0', scope).catch(String);
    expect(missing).to.contain('No such device');
    expect(await hostWorker.do('refusals')).to.deep.equal([]);
  });
});
