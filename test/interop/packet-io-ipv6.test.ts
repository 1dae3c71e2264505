import { expect } from 'chai';
import { ipv4Hex, udpHex } from './support/ipv4-packets.ts';
import { addressHex, fragmentsOf, icmpv6Hex, ipv6Hex } from './support/ipv6-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';

const DVIPA = '2001:db8:d::10';
const ENDPOINT = '2001:db8:1::10';
const CLIENT = '2001:db8:1::101';
const HOST = '2001:db8:1::21';
const MARK = 0x44564950;
const MARKER = '00000000';

/** Text that says which packet it was, as a payload. */
const tag = (text: string) => Buffer.from(text).toString('hex');
const espOf = (text: string) => `c123456700000001${tag(text)}`;
const echo = (text: string) => icmpv6Hex(128, `12340001${tag(text)}`);
const tooBig = (text: string) => icmpv6Hex(2, `00000500${tag(text)}`);

describe('packet-io of IPv6 in network namespaces', function () {
  this.timeout(60_000);
  let client: NetHost;
  let host: NetHost;
  let clientWorker: NetWorker;
  let hostWorker: NetWorker;

  before(async () => {
    client = new NetHost('pio6-client');
    host = new NetHost('pio6-host');
    for (const each of [client, host]) each.run('echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad');
    host.run('echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
    NetHost.wire(client, 'outside0', host, 'outside0');
    client.ip(`address add ${CLIENT}/64 dev outside0 nodad`);
    client.ip('address add 192.0.2.101/24 dev outside0');
    client.ip('route add 2001:db8:d::/64 dev outside0');
    host.ip(`address add ${HOST}/64 dev outside0 nodad`);
    host.ip('address add 192.0.2.21/24 dev outside0');
    [clientWorker, hostWorker] = await Promise.all([client.worker(), host.worker()]);
    // The client sees everything that is addressed to it but IKE.
    await clientWorker.do('capture', 'outside0', { dvipas: [CLIENT, '192.0.2.101'], endpoints: [] });
    // A peer's packets are compared byte by byte, and in order.
    await clientWorker.do('raw', 0, false);
    await hostWorker.do('udp', 'ordinary', HOST, 9);
    await hostWorker.do('raw', MARK);
  });
  after(async () => {
    await client?.close();
    await host?.close();
  });

  let sentinels = 0;
  /** What reached the client's wire so far: a packet of the host's own marks the end. */
  async function seenByClient(): Promise<string[]> {
    const sentinel = tag(`sentinel ${++sentinels}`);
    await hostWorker.do('udpSend', 'ordinary', CLIENT, 9, sentinel);
    return clientWorker.do('take', 'outside0', sentinel);
  }
  const fromDvipa = (packets: string[]) =>
    packets.filter((packet) => packet.startsWith('6') && packet.slice(16, 48) === addressHex(DVIPA));
  const to = (destination: string, next: number, payload: string) =>
    ipv6Hex(CLIENT, destination, next, payload);

  describe('raw socket', () => {
    const good = (text: string) => ipv6Hex(HOST, CLIENT, 17, udpHex(1, 2, tag(text)));

    it('raw socket sends an IPv6 packet whose source is not the host’s own, byte for byte', async () => {
      await clientWorker.do('udp', 'natt', CLIENT, 4500);
      const packet = ipv6Hex(DVIPA, CLIENT, 17, udpHex(4500, 4500, espOf('forged source')));
      // Traffic class and flow label.
      const labelled = `6b212345${packet.slice(8)}`;
      expect(await hostWorker.do('send', 'raw', labelled)).to.deep.equal([0]);
      const got = await clientWorker.do('take', 'natt', tag('forged source'));
      expect(got).to.deep.equal([`${DVIPA}:4500 ${espOf('forged source')}`]);
      expect(await seenByClient()).to.contain(labelled);
    });

    it('raw socket sends both families from one vector, and marks single packets that it cannot', async () => {
      const verdicts = await hostWorker.do(
        'send',
        'raw',
        good('first'),
        ipv4Hex('198.51.100.7', '192.0.2.101', 17, udpHex(1, 2, tag('between'))),
        ipv6Hex(HOST, CLIENT, 17, udpHex(1, 2, '00'.repeat(1500))),
        ipv6Hex(HOST, '2001:db8:dead::1', 17, udpHex(1, 2, '')),
        `${good('short')}00`,
        good('cut').slice(0, 78),
        '60',
        good('last'),
      );
      expect(verdicts.map((verdict) => verdict > 0)).to.deep.equal(
        [0, 0, 1, 1, 1, 1, 1, 0].map((each) => each === 1),
      );
      expect(verdicts[2], 'too-big has a verdict of its own').to.not.equal(verdicts[3]);
      expect(verdicts[3]).to.equal(verdicts[4]);
      const seen = (await seenByClient()).join();
      for (const text of ['first', 'between', 'last']) expect(seen).to.contain(tag(text));
      expect(seen).to.not.contain(tag('short')).and.not.contain(tag('cut'));
    });

    it('raw socket goes by the MTU of the device, and never fragments by a path MTU that the kernel believes', async () => {
      host.ip(`route add ${CLIENT}/128 dev outside0 mtu 1280`);
      host.ip('route add 192.0.2.101/32 dev outside0 mtu 600');
      const payload = udpHex(1, 2, `${'5a'.repeat(1350)}${tag('large')}`);
      const mayFragment = ipv4Hex('198.51.100.7', '192.0.2.101', 17, payload).replace(
        /^(.{12})4000/,
        '$10000',
      );
      const sent = [ipv6Hex(HOST, CLIENT, 17, payload), mayFragment];
      expect(await hostWorker.do('send', 'raw', ...sent)).to.deep.equal([0, 0]);
      host.ip(`route delete ${CLIENT}/128 dev outside0`);
      host.ip('route delete 192.0.2.101/32 dev outside0');
      const seen = (await seenByClient()).filter((packet) => packet.includes(tag('large')));
      expect(seen.map((packet) => packet.length / 2).toSorted((a, b) => a - b)).to.deep.equal([1383, 1403]);
    });

    it('raw socket sends fragments made here, though the host tracks connections', async () => {
      host.run('nft add table inet tracking');
      host.run("nft add chain inet tracking out '{ type filter hook output priority 0; }'");
      host.run('nft add rule inet tracking out ct state invalid counter');
      const payload = `${'5a'.repeat(3000)}${tag('whole')}`;
      const parts = fragmentsOf(ipv6Hex(DVIPA, CLIENT, 17, udpHex(4500, 4500, payload)), 1400, 77);
      const ipv4 = ipv4Hex('198.51.100.7', '192.0.2.101', 17, udpHex(4500, 4501, tag('fragment')));
      // Identification 0x1234, offset 0, more to come: nobody else could send the rest.
      const first = ipv4.replace(/^(.{8})00004000/, '$112342000');
      expect(await hostWorker.do('send', 'raw', ...parts, first)).to.deep.equal([0, 0, 0, 0]);
      expect(await clientWorker.do('take', 'natt', tag('whole'))).to.deep.equal([`${DVIPA}:4500 ${payload}`]);
      expect((await seenByClient()).join()).to.contain(tag('fragment'));
      host.run('nft delete table inet tracking');
    });
  });

  describe('routing host', () => {
    const guard = { dvipas: [DVIPA], endpoints: [ENDPOINT] };

    before(async () => {
      for (const address of [DVIPA, ENDPOINT]) host.ip(`address add ${address}/128 dev outside0 nodad`);
      await hostWorker.do('routerInstall', guard);
      await hostWorker.do('routerInstall', guard);
      await hostWorker.do('capture', 'outside0', guard);
      // In charon's place.
      await hostWorker.do('udp', 'charon', '::', 4500);
    });
    after(async () => {
      await hostWorker.do('close', 'outside0');
      await hostWorker.do('routerRemove', guard);
      for (const address of [DVIPA, ENDPOINT]) host.ip(`address delete ${address}/128 dev outside0`);
    });

    it('capture sees ESP, too-big messages and clear packets of IPv6, and leaves IKE to charon', async () => {
      await seenByClient();
      const options = '0001040000000000';
      const sent = [
        to(DVIPA, 17, udpHex(4500, 4500, espOf('esp dvipa'))),
        to(ENDPOINT, 17, udpHex(4500, 4500, espOf('esp endpoint'))),
        to(DVIPA, 50, espOf('native esp dvipa')),
        to(ENDPOINT, 50, espOf('native esp endpoint')),
        to(ENDPOINT, 60, `32${options.slice(2)}${espOf('esp behind options')}`),
        to(DVIPA, 58, tooBig('too big dvipa')),
        to(ENDPOINT, 58, tooBig('too big endpoint')),
        to(DVIPA, 6, '9c40005000000001000000005002faf000000000' + tag('syn')),
        to(DVIPA, 17, udpHex(4000, 53, tag('clear udp'))),
        to(DVIPA, 17, udpHex(4500, 4500, MARKER + tag('ike dvipa'))),
        to(ENDPOINT, 17, udpHex(4500, 4500, MARKER + tag('ike endpoint'))),
        to(DVIPA, 17, udpHex(4500, 4500, 'ff')),
        to(ENDPOINT, 58, echo('ping of an ordinary address')),
        to(HOST, 17, udpHex(4500, 4500, espOf('esp to the host itself'))),
        to(DVIPA, 58, echo('clear ping')),
      ];
      expect(await clientWorker.do('send', 'raw', ...sent)).to.deep.equal(sent.map(() => 0));
      const charon = await hostWorker.do('take', 'charon', tag('esp to the host itself'));
      const captured = await hostWorker.do('take', 'outside0', tag('clear ping'));

      expect(captured, 'the capture').to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 14].map((i) => sent[i]));
      expect(charon.map((line) => line.split(' ')[1])).to.deep.equal([
        MARKER + tag('ike dvipa'),
        MARKER + tag('ike endpoint'),
        'ff',
        espOf('esp to the host itself'),
      ]);
      const answers = await seenByClient();
      expect(fromDvipa(answers), 'answers from the DVIPA').to.deep.equal([]);
      const errors = answers.filter((packet) => packet.slice(12, 14) === '3a' && packet[80] === '0');
      expect(errors, 'ICMPv6 errors').to.deep.equal([]);
      expect(answers.join(), 'the endpoint stays an ordinary address').to.contain(tag('ping of an ordinary'));
      expect(await hostWorker.do('routerCounters', guard)).to.deep.equal({
        esp_in: 5,
        clear_in: 4,
        leak_out: 0,
        leak_forward: 0,
      });
    });

    it('capture sees every fragment, and charon gets whole IKE and no ESP', async () => {
      const long = (text: string) => `${'5a'.repeat(1800)}${tag(text)}`;
      const sent = [DVIPA, ENDPOINT].flatMap((address, i) => [
        ...fragmentsOf(to(address, 50, espOf(long('native'))), 1200, 100 + i),
        ...fragmentsOf(to(address, 17, udpHex(4500, 4500, espOf(long('in UDP')))), 1200, 110 + i),
        ...fragmentsOf(to(address, 17, udpHex(4500, 4500, MARKER + long('ike'))), 1200, 120 + i),
      ]);
      await clientWorker.do('send', 'raw', ...sent, to(ENDPOINT, 50, espOf('the end')));
      const captured = await hostWorker.do('take', 'outside0', tag('the end'));
      expect(captured.slice(0, -1)).to.deep.equal(sent);
      await clientWorker.do('send', 'raw', to(HOST, 17, udpHex(4500, 4500, tag('charon is done'))));
      const charon = await hostWorker.do('take', 'charon', tag('charon is done'));
      expect(charon.slice(0, -1).map((line) => line.split(' ')[1])).to.deep.equal([
        MARKER + long('ike'),
        MARKER + long('ike'),
      ]);
    });

    it('router guard leaves neighbour discovery alone, asked of everybody, asked directly, and asking itself', async () => {
      for (const address of [DVIPA, ENDPOINT]) {
        client.run(`ip neighbour flush ${address} dev outside0`);
        await clientWorker.do('send', 'raw', to(address, 50, espOf('who has')));
        await hostWorker.do('take', 'outside0', tag('who has'));
        expect(client.ip(`neighbour show ${address}`)).to.contain(host.linkAddress('outside0'));
        // Unicast solicitations only, from now on.
        client.ip(
          `neighbour change ${address} dev outside0 nud probe lladdr ${host.linkAddress('outside0')}`,
        );
        await untilTrue(() => client.ip(`neighbour show ${address}`).includes('REACHABLE'));
      }
      await clientWorker.do('udp', 'ike', CLIENT, 500);
      await hostWorker.do('udp', 'ike', DVIPA, 500);
      host.ip('neighbour flush dev outside0');
      expect(await hostWorker.do('udpSend', 'ike', CLIENT, 500, tag('ike out'))).to.equal('sent');
      expect(await clientWorker.do('take', 'ike', tag('ike out'))).to.have.lengthOf(1);
      expect(await hostWorker.do('routerCounters', guard)).to.include({ leak_out: 0 });
    });

    it('router guard lets out from a DVIPA only IKE and what the agent marked, and of that no other ICMPv6', async () => {
      await hostWorker.do('udp', 'as dvipa', DVIPA, 4999);
      expect(await hostWorker.do('udpSend', 'as dvipa', CLIENT, 9, tag('leak'))).to.equal('EPERM');
      const sent = [
        ipv6Hex(DVIPA, CLIENT, 17, udpHex(4500, 4500, espOf('sealed'))),
        ipv6Hex(DVIPA, CLIENT, 50, espOf('native')),
        ipv6Hex(DVIPA, CLIENT, 58, tooBig('smaller, please')),
        ipv6Hex(DVIPA, CLIENT, 58, echo('ping')),
        ipv6Hex(DVIPA, CLIENT, 6, '9c40005000000001000000005002faf000000000'),
      ];
      const verdicts = await hostWorker.do('send', 'raw', ...sent);
      expect(verdicts.map((verdict) => verdict > 0)).to.deep.equal([false, false, false, true, true]);
      expect(fromDvipa(await seenByClient())).to.deep.equal(sent.slice(0, 3));
    });
  });
});

async function untilTrue(claim: () => boolean): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!claim()) {
    if (Date.now() > limit) throw new Error('it did not come true');
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}
