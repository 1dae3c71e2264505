import { expect } from 'chai';
import { ipv4Hex, udpHex } from './support/ipv4-packets.ts';
import { addressHex, fragmentsOf, icmpv6Hex, ipv6Hex } from './support/ipv6-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';

const DVIPA = '2001:db8:d::10';
const DVIPA4 = '203.0.113.10';
const CLIENT = '2001:db8:1::101';
const HOST = '2001:db8:1::21';
const INNER = '2001:db8:c::1';
const MARK = 0x44564950;

const tag = (text: string) => Buffer.from(text).toString('hex');
const espOf = (text: string) => `c123456700000001${tag(text)}`;

describe('target guard of an IPv6 DVIPA in network namespaces', function () {
  this.timeout(60_000);
  let client: NetHost;
  let host: NetHost;
  let clientWorker: NetWorker;
  let hostWorker: NetWorker;
  let agent: NetWorker;
  let application: NetWorker;
  let untouched: string;

  const guard = { dvipas: [DVIPA, DVIPA4], tun: { name: 'dvipa0', mtu: 1360 }, links: ['outside0'] };
  const state = () =>
    host
      .run('nft list ruleset; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all')
      .concat(host.run('ip address; ip link; cat /proc/sys/net/ipv6/conf/outside0/*_ra'))
      .replace(/packets \d+ bytes \d+/g, '')
      .replace(/valid_lft.*|state \w+|,?LOWER_UP|NO-CARRIER,|linkdown /g, '')
      .replace(/^.*(?:expires|metric 1024 error).*\n/gm, '');

  before(async () => {
    client = new NetHost('pio6t-client');
    host = new NetHost('pio6t-host');
    for (const each of [client, host]) each.run('echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad');
    // As on a host that was told to do without IPv6 where nobody asks for it.
    host.run('echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6');
    host.run('echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6');
    host.run('echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 1 >/proc/sys/net/ipv4/ip_forward');
    NetHost.wire(client, 'outside0', host, 'outside0');
    host.run('echo 0 >/proc/sys/net/ipv6/conf/outside0/disable_ipv6');
    client.ip(`address add ${CLIENT}/64 dev outside0 nodad`);
    client.ip('route add 2001:db8:d::/64 dev outside0');
    host.ip(`address add ${HOST}/64 dev outside0 nodad`);
    host.ip(`route add default via ${CLIENT}`);
    [clientWorker, hostWorker] = await Promise.all([client.worker(), host.worker()]);
    await clientWorker.do('capture', 'outside0', { dvipas: [CLIENT, INNER], endpoints: [] });
    await clientWorker.do('raw', 0);
    await hostWorker.do('udp', 'ordinary', HOST, 9);
    await hostWorker.do('raw', MARK);

    untouched = state();
    await hostWorker.do('targetInstall', guard);
    agent = await host.worker();
    await agent.do('tun', 'dvipa0');
    await hostWorker.do('targetAddresses', guard);
    application = await host.worker();
    await application.do('udp', 'app', DVIPA, 7000);
    client.ip(`neighbour replace ${DVIPA} dev outside0 lladdr ${host.linkAddress('outside0')}`);
  });
  after(async () => {
    await client?.close();
    await host?.close();
  });

  let sentinels = 0;
  async function seenByClient(): Promise<string[]> {
    const sentinel = tag(`sentinel ${++sentinels}`);
    await hostWorker.do('udpSend', 'ordinary', CLIENT, 9, sentinel);
    return clientWorker.do('take', 'outside0', sentinel);
  }
  const fromDvipa = (packets: string[]) =>
    packets.filter((packet) => packet.slice(16, 48) === addressHex(DVIPA));

  /** Everything that an application or a stranger could try; resolves to what left the host. */
  async function provoke(): Promise<string[]> {
    await seenByClient();
    await application.do('udpSend', 'app', CLIENT, 9, tag('from the application'));
    await application.do('udpSend', 'app', INNER, 9, tag('from the application'));
    const strange = [
      ipv6Hex(CLIENT, DVIPA, 17, udpHex(5, 7000, tag('clear to the application'))),
      ipv6Hex(CLIENT, DVIPA, 17, udpHex(5, 7001, tag('clear to no port'))),
      ipv6Hex(CLIENT, DVIPA, 58, icmpv6Hex(128, `12340001${tag('ping')}`)),
      ipv6Hex(CLIENT, DVIPA, 58, icmpv6Hex(135, `00000000${addressHex(DVIPA)}`)).replace('3a40', '3aff'),
      ipv6Hex(CLIENT, DVIPA, 6, '9c40005000000001000000005002faf000000000'),
      ...fragmentsOf(ipv6Hex(CLIENT, DVIPA, 17, udpHex(5, 7000, '5a'.repeat(1500))), 800, 9),
    ];
    await clientWorker.do('send', 'raw', ...strange);
    await hostWorker.do('udpSend', 'ordinary', DVIPA, 9, tag('own'));
    return fromDvipa(await seenByClient());
  }

  it('TUN carries IPv6 to and from the application, in fragments too, and says nothing of its own', async () => {
    const request = ipv6Hex(INNER, DVIPA, 17, udpHex(1234, 7000, tag('request')));
    const long = `${'5a'.repeat(3000)}${tag('long')}`;
    const parts = fragmentsOf(ipv6Hex(INNER, DVIPA, 17, udpHex(1234, 7000, long)), 1200, 5);
    const direct = ipv6Hex(CLIENT, DVIPA, 17, udpHex(1234, 7000, tag('direct')));
    const verdicts = await agent.do('send', 'dvipa0', request, ...parts, direct);
    expect(verdicts).to.deep.equal([0, 0, 0, 0, 0]);
    const got = await application.do('take', 'app', tag('direct'));
    expect(got).to.deep.equal([
      `${INNER}:1234 ${tag('request')}`,
      `${INNER}:1234 ${long}`,
      `${CLIENT}:1234 ${tag('direct')}`,
    ]);
    await application.do('udpSend', 'app', INNER, 1234, tag('answer'));
    await application.do('udpSend', 'app', CLIENT, 1234, tag('straight'));
    const read = await agent.do('take', 'dvipa0', tag('straight'));
    expect(read.map((packet) => packet.slice(16, 80))).to.deep.equal([
      addressHex(DVIPA) + addressHex(INNER),
      addressHex(DVIPA) + addressHex(CLIENT),
    ]);
    expect(host.ip('-6 address show dev dvipa0 scope link')).to.equal('');
  });

  it('TUN is the way into the IPv6 DVIPA only: other addresses of the host stay closed', async () => {
    const before = await hostWorker.do('targetCounters', guard);
    await agent.do('send', 'dvipa0', ipv6Hex(INNER, HOST, 17, udpHex(1, 9, tag('stray'))));
    await agent.do('send', 'dvipa0', ipv6Hex(INNER, CLIENT, 17, udpHex(1, 9, tag('through'))));
    expect((await seenByClient()).join()).to.not.contain(tag('through'));
    expect(await hostWorker.do('targetCounters', guard)).to.deep.equal({
      ...before,
      stray_in: (before['stray_in'] as number) + 1,
      leak_forward: (before['leak_forward'] as number) + 1,
    });
  });

  it('target guard lets the agent’s IPv6 out, sealed or about an MTU, and nothing else from the DVIPA', async () => {
    expect(await provoke()).to.deep.equal([]);
    const sent = [
      ipv6Hex(DVIPA, CLIENT, 50, espOf('sealed')),
      ...fragmentsOf(ipv6Hex(DVIPA, CLIENT, 50, espOf('sealed in parts')), 16, 6),
      ipv6Hex(DVIPA, CLIENT, 58, icmpv6Hex(2, `00000500${tag('smaller')}`)),
      ipv6Hex(DVIPA, CLIENT, 58, icmpv6Hex(128, `00000000${tag('ping')}`)),
    ];
    const verdicts = await hostWorker.do('send', 'raw', ...sent);
    expect(verdicts.map((verdict) => verdict > 0)).to.deep.equal([false, false, false, false, true]);
    expect(fromDvipa(await seenByClient())).to.deep.equal(sent.slice(0, 4));
  });

  it('target guard sends the agent’s IPv6 by the main table or not at all', async () => {
    host.ip('-6 route delete default');
    const nowhere = ipv6Hex(DVIPA, '2001:db8:dead::1', 50, espOf('no way'));
    const [verdict] = await hostWorker.do('send', 'raw', nowhere);
    host.ip(`route add default via ${CLIENT}`);
    expect(verdict).to.be.greaterThan(0);
  });

  it('no link answers neighbour discovery for an IPv6 DVIPA, asked of everybody or directly', async () => {
    client.ip(`neighbour delete ${DVIPA} dev outside0`);
    client.run(`ping -c 1 -W 1 ${DVIPA} || true`);
    expect(client.ip(`neighbour show ${DVIPA}`)).to.match(/FAILED|INCOMPLETE/);
    client.ip(`neighbour replace ${DVIPA} dev outside0 nud probe lladdr ${host.linkAddress('outside0')}`);
    client.run('sleep 4');
    expect(client.ip(`neighbour show ${DVIPA}`)).to.not.contain('REACHABLE');
    client.ip(`neighbour replace ${DVIPA} dev outside0 lladdr ${host.linkAddress('outside0')}`);
  });

  it('target guard of IPv6 holds when it is installed again while in use', async () => {
    const before = state();
    await hostWorker.do('targetInstall', guard);
    await hostWorker.do('targetAddresses', guard);
    expect(state()).to.equal(before);
    expect(await provoke()).to.deep.equal([]);
  });

  it('target guard of IPv6 holds after kill -9 of the agent, and the application’s socket lives on', async () => {
    await agent.kill();
    expect(await provoke()).to.deep.equal([]);
    host.ip('link set dvipa0 down');
    host.ip('link set dvipa0 up');
    expect(host.ip('address show dev dvipa0')).to.contain(`${DVIPA}/128`);
    await hostWorker.do('targetInstall', guard);

    agent = await host.worker();
    await agent.do('tun', 'dvipa0');
    await agent.do('send', 'dvipa0', ipv6Hex(INNER, DVIPA, 17, udpHex(1234, 7000, tag('again'))));
    await application.do('take', 'app', tag('again'));
  });

  it('target guard of IPv6 has two layers: either one alone lets nothing out', async () => {
    const rules = host.run('nft list table inet dvipa_guard');
    host.run('nft delete table inet dvipa_guard');
    expect(await provoke(), 'policy routing alone').to.satisfy((seen: string[]) =>
      seen.every((packet) => !packet.includes(tag('from the application'))),
    );
    host.run(`nft -f - <<'END'\n${rules}\nEND`);
    host.run('ip -6 rule delete pref 152');
    expect(await provoke(), 'nftables alone').to.deep.equal([]);
    expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(false);
    await hostWorker.do('targetInstall', guard);
    expect(await hostWorker.do('targetIsInstalled', guard)).to.equal(true);
    expect(await provoke()).to.deep.equal([]);
  });

  it('target guard hears of changed rules of either family, and of nothing else', async () => {
    await hostWorker.do('ruleNews');
    const changes = {
      'nft delete table inet dvipa_guard': true,
      'ip route add 198.51.100.0/24 dev lo': false,
      'ip rule delete pref 152': true,
      'ip route delete 198.51.100.0/24 dev lo': false,
      'ip -6 rule delete pref 152': true,
    };
    for (const [change, isNews] of Object.entries(changes)) {
      host.run(change);
      expect(await hostWorker.do('ruleNews'), change).to.equal(isNews);
      expect(await hostWorker.do('ruleNews'), `${change}, once`).to.equal(false);
    }
    await hostWorker.do('targetInstall', guard);
    expect(await hostWorker.do('ruleNews'), 'our own').to.equal(true);
  });

  it('target guard of IPv6 holds when the TUN is gone', async () => {
    await agent.kill();
    host.ip('link delete dvipa0');
    expect(host.ip('-6 route show table 4754')).to.match(/^blackhole default/);
    expect(await provoke()).to.deep.equal([]);
  });

  it('target guard of IPv6 goes without a trace, and twice', async () => {
    await hostWorker.do('targetRemove', guard);
    await hostWorker.do('targetRemove', guard);
    expect(state()).to.equal(untouched);
  });

  it('target guard turns IPv6 off on its TUN when the last IPv6 DVIPA goes, and on again', async () => {
    const ipv4Only = { ...guard, dvipas: [DVIPA4] };
    const isOff = () => host.run('cat /proc/sys/net/ipv6/conf/dvipa0/disable_ipv6').trim() === '1';
    await hostWorker.do('targetInstall', guard);
    await hostWorker.do('targetAddresses', guard);
    expect(isOff()).to.equal(false);
    await hostWorker.do('targetInstall', ipv4Only);
    expect(isOff()).to.equal(true);
    expect(host.ip('-6 address show dev dvipa0')).to.equal('');
    expect(host.ip('-6 rule')).to.not.contain(DVIPA);
    // Too small for IPv6, and back.
    await hostWorker.do('targetInstall', { ...ipv4Only, tun: { name: 'dvipa0', mtu: 1000 } });
    await hostWorker.do('targetInstall', guard);
    await hostWorker.do('targetAddresses', guard);
    expect(host.ip('-6 address show dev dvipa0')).to.contain(`${DVIPA}/128`).and.not.contain('fe80');
    await hostWorker.do('targetRemove', guard);
  });

  it('target guard refuses an IPv6 DVIPA that is configured on a link', async () => {
    host.ip(`address add ${DVIPA}/128 dev outside0 nodad`);
    const failure = await hostWorker.do('targetInstall', guard).then(
      () => 'none',
      (error: Error) => error.message,
    );
    host.ip(`address delete ${DVIPA}/128 dev outside0`);
    expect(failure).to.contain(`DVIPA ${DVIPA} is configured on outside0`);
  });

  it('target guard without IPv6 in the kernel refuses an IPv6 DVIPA by name, and serves IPv4', async () => {
    const worker = await host.worker();
    await worker.do('hideIpv6');
    const failure = await worker.do('targetInstall', guard).then(
      () => 'none',
      (error: Error) => error.message,
    );
    expect(failure).to.contain(`DVIPA ${DVIPA} is an IPv6 address, and this kernel has no IPv6`);
    const ipv4Only = { ...guard, dvipas: [DVIPA4] };
    await worker.do('targetInstall', ipv4Only);
    expect(await worker.do('targetIsInstalled', ipv4Only)).to.equal(true);
    await worker.do('tun', 'dvipa0');
    await worker.do('targetAddresses', ipv4Only);
    await worker.do('udp', 'app', DVIPA4, 7000);
    await worker.do('send', 'dvipa0', ipv4Hex('10.1.1.1', DVIPA4, 17, udpHex(1234, 7000, tag('v4'))));
    expect(await worker.do('take', 'app', tag('v4'))).to.have.lengthOf(1);
    await worker.do('targetRemove', ipv4Only);
    expect(host.ip('-6 rule')).to.not.contain('4754');
  });
});
