import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { ipv4Hex, pingHex, udpHex } from './support/ipv4-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';

const DVIPA = '203.0.113.10';
const ENDPOINT = '192.0.2.10';
const CLIENT = '192.0.2.101';
const HOST = '192.0.2.21';
const MARK = 0x44564950;

/** Text that says which packet it was, as a payload. */
const tag = (text: string) => Buffer.from(text).toString('hex');
const espOf = (text: string) => `c123456700000001${tag(text)}`;

describe('packet-io in network namespaces', function () {
  this.timeout(60_000);
  let client: NetHost;
  let host: NetHost;
  let clientWorker: NetWorker;
  let hostWorker: NetWorker;

  before(async () => {
    client = new NetHost('pio-client');
    host = new NetHost('pio-host');
    for (const each of [client, host]) each.run('echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6');
    host.run('echo 1 >/proc/sys/net/ipv4/ip_forward');
    NetHost.wire(client, 'outside0', host, 'outside0');
    client.ip(`address add ${CLIENT}/24 dev outside0`);
    client.ip('route add 203.0.113.0/24 dev outside0');
    host.ip(`address add ${HOST}/24 dev outside0`);
    [clientWorker, hostWorker] = await Promise.all([client.worker(), host.worker()]);
    // The client sees everything that is addressed to it but IKE.
    await clientWorker.do('capture', 'outside0', { dvipas: [CLIENT], endpoints: [] });
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
  const fromDvipa = (packets: string[]) => packets.filter((packet) => packet.slice(24, 32) === 'cb00710a');

  describe('raw socket', () => {
    it('raw socket sends a packet with a source address that is not the host’s own', async () => {
      await clientWorker.do('udp', 'natt', CLIENT, 4500);
      const packet = ipv4Hex(ENDPOINT, CLIENT, 17, udpHex(4500, 4500, espOf('forged source')));
      expect(await hostWorker.do('send', 'raw', packet)).to.deep.equal([0]);
      const got = await clientWorker.do('take', 'natt', tag('forged source'));
      expect(got).to.deep.equal([`${ENDPOINT}:4500 ${espOf('forged source')}`]);
    });

    it('raw socket marks single packets that the kernel refuses, and sends the others', async () => {
      const good = (text: string) => ipv4Hex(HOST, CLIENT, 17, udpHex(1, 2, tag(text)));
      const verdicts = await hostWorker.do(
        'send',
        'raw',
        good('first'),
        ipv4Hex(HOST, CLIENT, 17, udpHex(1, 2, '00'.repeat(1500))),
        ipv4Hex(HOST, '198.18.0.1', 17, udpHex(1, 2, '')),
        '4500',
        good('last'),
      );
      const names = verdicts.map((verdict) => verdict > 0);
      expect(names).to.deep.equal([false, true, true, true, false]);
      expect(verdicts[1], 'too-big has a verdict of its own').to.not.equal(verdicts[2]);
      const seen = (await seenByClient()).join();
      expect(seen).to.contain(tag('first')).and.contain(tag('last'));
    });
  });

  describe('routing host', () => {
    const guard = { dvipas: [DVIPA], endpoints: [ENDPOINT] };
    const to = (destination: string, protocol: number, payload: string) =>
      ipv4Hex(CLIENT, destination, protocol, payload);

    before(async () => {
      host.ip(`address add ${DVIPA}/32 dev outside0`);
      host.ip(`address add ${ENDPOINT}/32 dev outside0`);
      await hostWorker.do('routerInstall', guard);
      await hostWorker.do('routerInstall', guard);
      await hostWorker.do('capture', 'outside0', {
        dvipas: [DVIPA],
        endpoints: [ENDPOINT],
      });
      // In charon's place.
      await hostWorker.do('udp', 'charon', '0.0.0.0', 4500);
    });
    after(async () => {
      await hostWorker.do('close', 'outside0');
      await hostWorker.do('routerRemove', guard);
      await hostWorker.do('routerRemove', guard);
      host.ip(`address delete ${DVIPA}/32 dev outside0`);
      host.ip(`address delete ${ENDPOINT}/32 dev outside0`);
    });

    it('capture sees ESP and clear packets that nftables keep from the host, and leaves IKE to charon', async () => {
      await seenByClient();
      const marker = '00000000';
      const sent = [
        to(DVIPA, 17, udpHex(4500, 4500, espOf('esp dvipa'))),
        to(ENDPOINT, 17, udpHex(4500, 4500, espOf('esp endpoint'))),
        to(DVIPA, 50, espOf('native esp dvipa')),
        to(ENDPOINT, 50, espOf('native esp endpoint')),
        to(DVIPA, 17, udpHex(4500, 4500, marker + tag('ike dvipa'))),
        to(ENDPOINT, 17, udpHex(4500, 4500, marker + tag('ike endpoint'))),
        to(DVIPA, 17, udpHex(4500, 4500, 'ff')),
        to(DVIPA, 6, '9c40005000000001000000005002faf000000000' + tag('syn')),
        to(DVIPA, 17, udpHex(4000, 53, tag('clear udp'))),
        to(DVIPA, 1, pingHex(tag('clear ping'))),
        to(ENDPOINT, 1, pingHex(tag('ping of an ordinary address'))),
        to(HOST, 17, udpHex(4500, 4500, espOf('esp to the host itself'))),
      ];
      expect(await clientWorker.do('send', 'raw', ...sent)).to.deep.equal(sent.map(() => 0));
      const charon = await hostWorker.do('take', 'charon', tag('esp to the host itself'));
      const captured = await hostWorker.do('take', 'outside0', tag('clear ping'));

      expect(captured, 'the capture').to.deep.equal([0, 1, 2, 3, 7, 8, 9].map((i) => sent[i]));
      expect(charon.map((line) => line.split(' ')[1])).to.deep.equal([
        marker + tag('ike dvipa'),
        marker + tag('ike endpoint'),
        'ff',
        espOf('esp to the host itself'),
      ]);
      const answers = await seenByClient();
      expect(fromDvipa(answers), 'answers from the DVIPA').to.deep.equal([]);
      const unreachable = answers.filter(
        (packet) => packet.slice(18, 20) === '01' && packet.slice(40, 42) === '03',
      );
      expect(unreachable, 'ICMP errors').to.deep.equal([]);
      expect(answers.join(), 'the endpoint stays an ordinary address').to.contain(tag('ping of an ordinary'));
    });

    it('router guard counts what it stopped', async () => {
      expect(await hostWorker.do('routerCounters', guard)).to.deep.equal({
        esp_in: 4,
        clear_in: 3,
        leak_out: 0,
        leak_forward: 0,
      });
    });

    it('router guard knows that somebody flushed its rules', async () => {
      expect(await hostWorker.do('routerIsInstalled', guard)).to.equal(true);
      host.run('nft flush ruleset');
      expect(await hostWorker.do('routerIsInstalled', guard)).to.equal(false);
      await hostWorker.do('routerInstall', guard);
    });

    it('router guard lets out from a DVIPA only IKE and what the agent marked', async () => {
      await hostWorker.do('udp', 'as dvipa', DVIPA, 4999);
      expect(await hostWorker.do('udpSend', 'as dvipa', CLIENT, 9, tag('leak'))).to.equal('EPERM');
      const sealed = ipv4Hex(DVIPA, CLIENT, 17, udpHex(4500, 4500, espOf('sealed')));
      await hostWorker.do('send', 'raw', sealed);
      const seen = fromDvipa(await seenByClient());
      expect(seen.length).to.equal(1);
      expect(seen[0]).to.contain(tag('sealed'));
      await hostWorker.do('udp', 'ike', DVIPA, 500);
      expect(await hostWorker.do('udpSend', 'ike', CLIENT, 500, tag('ike'))).to.equal('sent');
    });

    it('capture goes on after its link was down', async () => {
      host.ip('link set outside0 down');
      host.ip('link set outside0 up');
      host.ip(`neighbour replace ${CLIENT} dev outside0 lladdr ${client.linkAddress('outside0')}`);
      client.ip(`neighbour replace ${ENDPOINT} dev outside0 lladdr ${host.linkAddress('outside0')}`);
      const packet = to(ENDPOINT, 50, espOf('after'));
      await clientWorker.do('send', 'raw', packet);
      expect((await hostWorker.do('take', 'outside0', tag('after'))).at(-1)).to.equal(packet);
    });
  });

  describe('capture', () => {
    const scope = { dvipas: [HOST], endpoints: [] };

    it('capture passes over packets longer than a slot, counts them, and keeps the others in order', async () => {
      for (const each of [client, host]) each.ip('link set outside0 mtu 9000');
      await clientWorker.do('udp', 'plain', CLIENT, 4999);
      await hostWorker.do('captureIdle', 'slow', 'outside0', scope);
      const sizes = [10, 5000, 11, 12, 6000, 6000, 13, 3000];
      for (const size of sizes) await clientWorker.do('udpSend', 'plain', HOST, 4999, '5a'.repeat(size));
      const got = await hostWorker.do('drain', 'slow');
      for (const each of [client, host]) each.ip('link set outside0 mtu 1500');

      expect(got.map((packet) => packet.length / 2 - 28)).to.deep.equal([10, 11, 12, 13, 3000]);
      for (const packet of got) expect(packet.slice(56)).to.match(/^(5a)+$/);
      expect(await hostWorker.do('losses', 'slow')).to.deep.equal({ overrun: 0, tooBig: 3 });
      await hostWorker.do('close', 'slow');
    });

    it('capture takes another filter between two packets: none of what passes both is lost or comes twice', async () => {
      // ESP passes both filters; what is clear only that of a DVIPA.
      const filterAt = (change: number) => (change % 2 === 0 ? scope : { dvipas: [], endpoints: [HOST] });
      await hostWorker.do('captureIdle', 'changing', 'outside0', filterAt(0));
      const count = 200;
      const textOf = (n: number) => tag(`<${n}>`);
      for (let n = 0; n < count; n++) {
        const esp = ipv4Hex(CLIENT, HOST, 50, espOf(`<${n}>`));
        const clear = ipv4Hex(CLIENT, HOST, 17, udpHex(4000, 4999, textOf(n)));
        await clientWorker.do('send', 'raw', n % 2 === 0 ? esp : clear);
        if (n % 20 === 10) await hostWorker.do('captureOther', 'changing', filterAt((n + 10) / 20));
      }
      const got = await hostWorker.do('drain', 'changing');
      const times = (n: number) => got.filter((packet) => packet.includes(textOf(n))).length;
      const all = Array.from({ length: count }, (_, n) => n);
      expect(all.filter((n) => n % 2 === 0 && times(n) !== 1)).to.deep.equal([]);
      const isScope = (n: number) => Math.floor((n + 9) / 20) % 2 === 0;
      expect(all.filter((n) => n % 2 === 1 && times(n) !== Number(isScope(n)))).to.deep.equal([]);
      await hostWorker.do('close', 'changing');
    });

    it('capture that is not read counts what the kernel had to drop, once', async () => {
      await hostWorker.do('captureIdle', 'idle', 'outside0', scope);
      const packet = ipv4Hex(CLIENT, HOST, 17, udpHex(1, 4999, '00'.repeat(1400)));
      const sent = await clientWorker.do('flood', 'raw', packet, 16_000);
      const { overrun } = await hostWorker.do('losses', 'idle');
      expect(overrun).to.be.greaterThan(0).and.lessThan(sent);
      expect((await hostWorker.do('drain', 'idle')).length).to.equal(256);
      await hostWorker.do('close', 'idle');
    });
  });

  describe('target', () => {
    const guard = { dvipas: [DVIPA], tun: { name: 'dvipa0', mtu: 1360 }, links: ['outside0'] };
    const state = () => host.run('nft list ruleset; ip rule; ip route show table all; ip address; ip link');
    const settings = () => host.run('cat /proc/sys/net/ipv4/conf/outside0/arp_ignore');
    const withoutCounters = (text: string) =>
      text.replace(/packets \d+ bytes \d+/g, '').replace(/valid_lft.*|state \w+|,?LOWER_UP|NO-CARRIER,/g, '');
    let untouched: string;
    let agent: NetWorker;
    let application: NetWorker;

    before(async () => {
      untouched = withoutCounters(state());
      await hostWorker.do('targetInstall', guard);
      agent = await host.worker();
      await agent.do('tun', 'dvipa0');
      await hostWorker.do('targetAddresses', guard);
      application = await host.worker();
      await application.do('udp', 'app', DVIPA, 7000);
      client.ip('neighbour flush dev outside0');
      client.ip(`neighbour replace ${DVIPA} dev outside0 lladdr ${host.linkAddress('outside0')}`);
    });

    /** Everything that an application or a stranger could try; resolves to what left the host. */
    async function provoke(): Promise<string[]> {
      await seenByClient();
      await application.do('udpSend', 'app', CLIENT, 9, tag('from the application'));
      await application.do('udpSend', 'app', '10.1.1.1', 9, tag('from the application'));
      const strange = [
        ipv4Hex(CLIENT, DVIPA, 17, udpHex(5, 7000, tag('clear to the application'))),
        ipv4Hex(CLIENT, DVIPA, 17, udpHex(5, 7001, tag('clear to no port'))),
        ipv4Hex(CLIENT, DVIPA, 1, pingHex(tag('ping'))),
        ipv4Hex(CLIENT, DVIPA, 6, '9c40005000000001000000005002faf000000000'),
      ];
      await clientWorker.do('send', 'raw', ...strange);
      // A client of this host that mistakes the DVIPA for something outside.
      await hostWorker.do('udpSend', 'ordinary', DVIPA, 9, tag('own'));
      return fromDvipa(await seenByClient());
    }

    it('TUN carries packets to and from the application on the DVIPA', async () => {
      const request = ipv4Hex('10.1.1.1', DVIPA, 17, udpHex(1234, 7000, tag('request')));
      expect(await agent.do('send', 'dvipa0', request)).to.deep.equal([0]);
      const got = await application.do('take', 'app', tag('request'));
      expect(got).to.deep.equal([`10.1.1.1:1234 ${tag('request')}`]);
      await application.do('udpSend', 'app', '10.1.1.1', 1234, tag('answer'));
      const [answer] = await agent.do('take', 'dvipa0', tag('answer'));
      expect(answer?.slice(24, 40), 'addresses').to.equal('cb00710a0a010101');
      expect(await agent.do('stats', 'dvipa0')).to.include({ received: 1, sent: 1, refused: 0, tooLong: 0 });
    });

    it('TUN takes a packet whose inner source is on the outside network', async () => {
      await agent.do('send', 'dvipa0', ipv4Hex(CLIENT, DVIPA, 17, udpHex(1234, 7000, tag('direct'))));
      expect((await application.do('take', 'app', tag('direct'))).length).to.equal(1);
    });

    it('TUN is the way into the DVIPA only: other addresses of the host stay closed', async () => {
      await agent.do('send', 'dvipa0', ipv4Hex(CLIENT, HOST, 17, udpHex(1, 9, tag('stray'))));
      await agent.do('send', 'dvipa0', ipv4Hex(CLIENT, '192.0.2.102', 17, udpHex(1, 9, tag('through'))));
      const counters = await hostWorker.do('targetCounters', guard);
      expect(counters).to.include({ stray_in: 1, leak_forward: 1 });
      expect((await seenByClient()).join()).to.not.contain(tag('through'));
    });

    it('target guard lets the agent’s sealed packets out, and nothing else from the DVIPA', async () => {
      expect(await provoke()).to.deep.equal([]);
      const sealed = ipv4Hex(DVIPA, CLIENT, 17, udpHex(4500, 4500, espOf('sealed')));
      expect(await hostWorker.do('send', 'raw', sealed)).to.deep.equal([0]);
      expect(fromDvipa(await seenByClient()).join()).to.contain(tag('sealed'));
    });

    it('target guard sends the agent’s packets by the main table or not at all', async () => {
      const nowhere = ipv4Hex(DVIPA, '198.18.0.1', 17, udpHex(4500, 4500, espOf('no way')));
      const [verdict] = await hostWorker.do('send', 'raw', nowhere);
      expect(verdict).to.be.greaterThan(0);
    });

    it('target guard does not answer ARP for the DVIPA', async () => {
      client.ip(`neighbour delete ${DVIPA} dev outside0`);
      client.run(`ping -c 1 -W 1 ${DVIPA} || true`);
      expect(client.ip(`neighbour show ${DVIPA}`)).to.match(/FAILED|INCOMPLETE/);
      client.ip(`neighbour replace ${DVIPA} dev outside0 lladdr ${host.linkAddress('outside0')}`);
    });

    it('target guard holds when it is installed again while in use', async () => {
      const before = withoutCounters(state());
      await hostWorker.do('targetInstall', guard);
      await hostWorker.do('targetAddresses', guard);
      expect(withoutCounters(state())).to.equal(before);
      expect(await provoke()).to.deep.equal([]);
    });

    it('target guard holds after kill -9 of the agent, and the application’s socket lives on', async () => {
      await agent.kill();
      expect(await provoke()).to.deep.equal([]);
      expect(host.ip('address show dev dvipa0')).to.contain(DVIPA);

      agent = await host.worker();
      await agent.do('tun', 'dvipa0');
      await agent.do('send', 'dvipa0', ipv4Hex('10.1.1.1', DVIPA, 17, udpHex(1234, 7000, tag('again'))));
      await application.do('take', 'app', tag('again'));
    });

    it('target guard has two layers: either one alone lets nothing out', async () => {
      const rules = host.run('nft list table inet dvipa_guard');
      host.run('nft delete table inet dvipa_guard');
      expect(await provoke(), 'policy routing alone').to.satisfy((seen: string[]) =>
        seen.every((packet) => !packet.includes(tag('from the application'))),
      );
      host.run(`nft -f - <<'END'\n${rules}\nEND`);
      host.run('ip rule delete pref 152');
      expect(await provoke(), 'nftables alone').to.deep.equal([]);
      await hostWorker.do('targetInstall', guard);
    });

    it('target guard knows that somebody flushed its rules, and comes back', async () => {
      expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(true);
      host.run('nft flush ruleset');
      expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(false);
      await hostWorker.do('targetInstall', guard);
      host.run('ip rule delete pref 152');
      expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(false);
      await hostWorker.do('targetInstall', guard);
      expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(true);
      expect(await provoke()).to.deep.equal([]);
    });

    it('target guard holds when the TUN is gone', async () => {
      await agent.kill();
      host.ip('link delete dvipa0');
      expect(host.ip('route show table 4754')).to.match(/^blackhole default/);
      expect(await provoke()).to.deep.equal([]);
    });

    it('target guard goes without a trace, and twice', async () => {
      await hostWorker.do('targetRemove', guard);
      await hostWorker.do('targetRemove', guard);
      expect(withoutCounters(state())).to.equal(untouched);
      expect(settings().trim()).to.equal('0');
    });

    it('target guard refuses a DVIPA that is configured on a link', async () => {
      host.ip(`address add ${DVIPA}/32 dev outside0`);
      const failure = await hostWorker.do('targetInstall', guard).then(
        () => 'none',
        (error: Error) => error.message,
      );
      host.ip(`address delete ${DVIPA}/32 dev outside0`);
      expect(failure).to.contain(`DVIPA ${DVIPA} is configured on outside0`);
    });
  });
});

describe('packet-io addon', function () {
  this.timeout(120_000);

  it('packet-io addon takes misuse without a complaint from ASan and UBSan', () => {
    const output = execFileSync(new URL('../../scripts/test-addons-asan', import.meta.url).pathname, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(output).to.equal('packet-io: no complaint\n');
  });
});
