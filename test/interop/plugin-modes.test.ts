import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { hostFolder } from '../../src/lab/host-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { reportMapping, type ViciError } from '../../src/vici/index.ts';
import { charonLog, editFile, PLUGIN_LAB, PluginWatcher, startPluginLab } from '../support/plugin-lab.ts';

const DVIPA = '203.0.113.10';
const DVIPA6 = '2001:db8:1::10';
const ENDPOINT = '192.0.2.10';
const ENDPOINT6 = '2001:db8::10';
const PEER = '192.0.2.101';
const PEER_MOVED = '192.0.2.151';
const PEER6 = '2001:db8::101';
const PEER6_MOVED = '2001:db8::151';
const PEER_INNER = '10.1.1.1';

/** A connection as both ends have it; `router` and `peer` are lines of their own for the connection. */
interface Mode {
  readonly local?: string;
  readonly remote?: string;
  readonly mode?: string;
  readonly localTs?: string;
  readonly remoteTs?: string;
  readonly proposals?: string;
  readonly mobike?: boolean;
  readonly router?: string;
  readonly peer?: string;
}

// What the data plane can do beyond ESP in UDP between IPv4 addresses. The peer is a charon with our plugin as its
// backend too: no kernel here has ESP, and the stock backend without a kernel knows only tunnels in UDP.
describe('plugin kernel-dvipa, modes and families', () => {
  let lab: Lab;
  let watcher: PluginWatcher;
  const peer = () => lab.host('client1');

  before(async () => {
    lab = await startPluginLab();
    await lab.process('client1', 'charon').stop();
    for (const host of ['outside', 'router1', 'client1']) {
      const interfaces = host === 'outside' ? ['all', 'br0'] : ['all', 'outside0', 'lo'];
      const sysctls = interfaces.map((name) => `net.ipv6.conf.${name}.disable_ipv6=0`);
      await lab.host(host).must(['sysctl', '-qw', ...sysctls]);
    }
    await address('router1', 'add', `${DVIPA}/32`);
    await address('router1', 'add', `${ENDPOINT6}/64`);
    await address('client1', 'add', `${PEER6}/64`);
    await lab.router.must(['ip', 'route', 'add', PEER_MOVED, 'dev', 'outside0']);
    await peer().must(['ip', 'route', 'add', `${DVIPA}/32`, 'dev', 'outside0']);
    editFile('router1', 'strongswan.conf', (text) =>
      text
        .replace(/dvipas = .*/, `dvipas = ${DVIPA}, ${DVIPA6}`)
        .replace(/endpoints = .*/, `endpoints = ${ENDPOINT} ${ENDPOINT6}`),
    );
    await lab.router.must(['swanctl', '--reload-settings']);
    editFile('client1', 'strongswan.conf', (text) =>
      text
        .replace(/^(  load = .*)kernel-libipsec/m, '$1kernel-dvipa')
        .replace(
          /^charon \{/m,
          `$&\n  send_vendor_id = yes\n  plugins {\n    kernel-dvipa {\n      dvipas = ${[PEER, PEER_MOVED, PEER6, PEER6_MOVED, PEER_INNER].join(' ')}\n    }\n  }`,
        ),
    );
    const plugins = path.join(hostFolder(PLUGIN_LAB.folder, 'router1'), 'plugins');
    const start = 'mount --bind "$1" /usr/lib/ipsec/plugins && exec /usr/sbin/charon-systemd';
    peer().spawn('charon', ['sh', '-c', start, 'start', plugins]);
    await waitFor('the peer', async () => (await peer().exec(['swanctl', '--stats'])).status === 0);
    watcher = await PluginWatcher.start();
  });

  after(async () => {
    watcher?.close();
    await lab?.release();
    await Lab.downAny(PLUGIN_LAB);
  });

  const address = (host: string, what: 'add' | 'del', text: string) =>
    lab
      .host(host)
      .must(['ip', 'address', what, text, 'dev', 'outside0', ...(text.includes(':') ? ['nodad'] : [])]);
  const configure = async (mode: Mode) => {
    await down();
    const { local = ENDPOINT, remote = PEER, localTs = DVIPA, remoteTs = PEER_INNER } = mode;
    const files = {
      router1: connection('router1', { from: local, to: '%any', fromTs: localTs, toTs: remoteTs }, mode),
      client1: connection('client1', { from: remote, to: local, fromTs: remoteTs, toTs: localTs }, mode),
    };
    for (const [host, text] of Object.entries(files)) {
      writeFileSync(path.join(hostFolder(PLUGIN_LAB.folder, host), 'swanctl/swanctl.conf'), text);
      await lab.host(host).must(['swanctl', '--load-all', '--noprompt']);
    }
  };
  const down = async () => {
    await peer().exec(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '5']);
    await waitFor('no IKE_SA', async () => (await lab.router.must(['swanctl', '--list-sas'])) === '');
  };
  const initiate = async () => {
    await lab.initiate('client1');
    await waitFor('the policy', () => watcher.newestPolicy('out').spi === watcher.newest('out').spi);
  };
  const established = async (mode: Mode) => {
    await configure(mode);
    const from = watcher.changes.length;
    await initiate();
    await waitFor('the SAs', () => watcher.said(from).includes('policy-add out'));
    expect(watcher.invalid).to.deep.equal([]);
    const [into, out] = [watcher.newest('in'), watcher.newest('out')];
    expect(into.group).to.equal(out.group);
    expect(watcher.newestPolicy('out').group).to.equal(out.group);
    return { into, out, from };
  };
  const refusals = async (mode: Mode) => {
    await configure(mode);
    const from = charonLog('router1').length;
    const changes = watcher.changes.length;
    await lab.initiate('client1').catch(() => undefined);
    const lines = charonLog('router1')
      .slice(from)
      .split('\n')
      .flatMap((line) => /\[KNL\] kernel-dvipa: .* is refused: (.*)$/.exec(line)?.[1] ?? []);
    expect(watcher.said(changes)).to.deep.equal([]);
    return lines;
  };
  const selectors = (list: readonly { from: string; to: string }[]) => list.map(({ from }) => from);

  it('uses native ESP with a peer that is not behind a NAT', async () => {
    const { into, out } = await established({});
    for (const sa of [into, out]) {
      expect(sa).to.include({
        hasUdpEncapsulation: false,
        sourcePort: 0,
        destinationPort: 0,
        mode: 'tunnel',
      });
    }
    const failure = await reportMapping(watcher.session.session, {
      sa: into.id,
      address: PEER,
      port: 40_000,
    }).catch((error: ViciError) => error.message);
    expect(failure).to.contain('the SA has no UDP encapsulation');
  });

  for (const end of ['router', 'peer'] as const) {
    it(`uses ESP in UDP if the ${end} asks for it with encap = yes`, async () => {
      const { into, out } = await established({ [end]: 'encap = yes' });
      for (const sa of [into, out]) {
        expect(sa).to.include({ hasUdpEncapsulation: true, sourcePort: 4500, destinationPort: 4500 });
      }
    });
  }

  for (const [name, mode] of Object.entries({
    'IPv6 in IPv6': { local: ENDPOINT6, remote: PEER6, localTs: DVIPA6, remoteTs: PEER6 },
    'IPv4 in IPv6': { local: ENDPOINT6, remote: PEER6 },
    'IPv6 in IPv4': { localTs: DVIPA6, remoteTs: PEER6 },
  })) {
    for (const encap of ['no', 'yes']) {
      it(`takes a tunnel of ${name}, encap = ${encap}`, async () => {
        const { into, out } = await established({ ...mode, peer: `encap = ${encap}` });
        const { local = ENDPOINT, remote = PEER, localTs = DVIPA, remoteTs = PEER_INNER } = mode as Mode;
        expect(into).to.include({ source: remote, destination: local, dvipa: localTs });
        expect(out).to.include({ source: local, destination: remote, dvipa: localTs });
        expect(into.hasUdpEncapsulation).to.equal(encap === 'yes');
        expect(selectors(into.sourceSelectors)).to.deep.equal([remoteTs]);
        expect(selectors(out.sourceSelectors)).to.deep.equal([localTs]);
      });
    }
  }

  const transport = { local: DVIPA, mode: 'transport', remoteTs: 'dynamic' };
  for (const encap of ['no', 'yes']) {
    it(`takes transport mode to the DVIPA itself, encap = ${encap}, and its rekey`, async () => {
      const { into, out, from } = await established({ ...transport, peer: `encap = ${encap}` });
      expect(into).to.include({ mode: 'transport', source: PEER, destination: DVIPA, dvipa: DVIPA });
      expect(out).to.include({ mode: 'transport', source: DVIPA, destination: PEER });
      expect(into.hasUdpEncapsulation).to.equal(encap === 'yes');
      expect(selectors(into.sourceSelectors)).to.deep.equal([PEER]);
      expect(selectors(out.sourceSelectors)).to.deep.equal([DVIPA]);
      expect(watcher.said(from)).to.not.include('policy-add fwd');
      await peer().must(['swanctl', '--rekey', '--child', 'web']);
      await waitFor('the end of the old SAs', () => watcher.said(from).includes('sa-delete out'));
      expect(watcher.newest('out')).to.include({ mode: 'transport', group: out.group });
      expect(watcher.newest('out').spi).to.not.equal(out.spi);
    });
  }

  it('takes transport mode of a peer behind a NAT: its selectors are the address that we see', async () => {
    await address('client1', 'add', `${PEER_MOVED}/32`);
    const nat = `table ip nat { chain out { type nat hook postrouting priority 100; ip saddr ${PEER} ip daddr ${DVIPA} snat to ${PEER_MOVED}; }; }`;
    await peer().must(['nft', '-f', '-'], { input: nat });
    try {
      const { into, out } = await established({ ...transport, mobike: false });
      expect(into).to.include({ mode: 'transport', source: PEER_MOVED, hasUdpEncapsulation: true });
      expect(selectors(into.sourceSelectors)).to.deep.equal([PEER_MOVED]);
      expect(selectors(out.destinationSelectors)).to.deep.equal([PEER_MOVED]);
      await down();
    } finally {
      await peer().must(['nft', 'delete', 'table', 'ip', 'nat']);
      await address('client1', 'del', `${PEER_MOVED}/32`);
    }
  });

  it('follows a peer in transport mode to another port, and not to another address: that takes a new SA', async () => {
    const { into, from } = await established({ ...transport, peer: 'encap = yes' });
    const log = charonLog('router1').length;
    await reportMapping(watcher.session.session, { sa: into.id, address: PEER, port: 40_000 });
    await waitFor('both moved', () => watcher.said(from).includes('sa-update out'));
    const moves = () => watcher.said(from).filter((said) => said.startsWith('sa-update')).length;
    expect(charonLog('router1').slice(log)).to.not.contain('are refused');
    await reportMapping(watcher.session.session, { sa: into.id, address: PEER_MOVED, port: 4500 });
    const refused = 'are refused: transport mode with another address than negotiated';
    await waitFor('a refusal', () => charonLog('router1').slice(log).includes(refused));
    expect(moves()).to.equal(2);
    await lab.router.exec(['swanctl', '--terminate', '--ike', 'dvipa', '--force']);
  });

  for (const [reason, mode] of Object.entries({
    'our traffic selector is no DVIPA': { ...transport, local: ENDPOINT, localTs: 'dynamic' },
    'BEET mode': { mode: 'beet' },
    AH: { proposals: 'ah_proposals = sha256' },
  })) {
    it(`refuses by name: ${reason}`, async () => {
      expect(new Set(await refusals(mode))).to.deep.equal(new Set([reason]));
    });
  }

  it('follows a peer with MOBIKE to the other family and to another address, in one group', async () => {
    const { into, from } = await established({ mobike: true, remote: '%any' });
    expect(into).to.include({ source: PEER, hasUdpEncapsulation: false });
    const moved = (to: string) => () => {
      const at = watcher.changes
        .slice(from)
        .flatMap((change) => (change.type === 'sa-update' ? [change.sa] : []))
        .filter(
          ({ source, destination, group }) => [source, destination].includes(to) && group === into.group,
        );
      return ['in', 'out'].every((direction) => at.some((sa) => sa.direction === direction));
    };
    await address('client1', 'del', `${PEER}/24`);
    await waitFor('both in the other family', moved(PEER6));
    await address('client1', 'add', `${PEER6_MOVED}/64`);
    await address('client1', 'del', `${PEER6}/64`);
    await waitFor('both at the other address', moved(PEER6_MOVED));
    const rekeyFrom = watcher.changes.length;
    await peer().must(['swanctl', '--rekey', '--child', 'web']);
    await waitFor('a rekey there', () => watcher.said(rekeyFrom).includes('sa-delete out'));
    expect(watcher.newest('in')).to.include({ group: into.group, source: PEER6_MOVED, mode: 'tunnel' });
    expect(watcher.newestPolicy('out')).to.include({ group: into.group, spi: watcher.newest('out').spi });
    await down();
    await address('client1', 'add', `${PEER}/24`);
    await peer().must(['ip', 'route', 'replace', `${DVIPA}/32`, 'dev', 'outside0']);
  });

  it('asks every peer for ESP in UDP if force_udp_encapsulation is set', async () => {
    await configure({});
    watcher.close();
    await lab.process('router1', 'charon').stop();
    editFile('router1', 'strongswan.conf', (text) =>
      text.replace(/endpoints = .*/, '$&\n      force_udp_encapsulation = yes'),
    );
    await lab.startCharon('router1');
    watcher = await PluginWatcher.start();
    await initiate();
    expect(watcher.newest('in')).to.include({ hasUdpEncapsulation: true, destinationPort: 4500 });
  });
});

/** A swanctl.conf of one end. */
function connection(
  host: string,
  ends: { from: string; to: string; fromTs: string; toTs: string },
  mode: Mode,
): string {
  const isRouter = host === 'router1';
  return `connections {
  dvipa {
    version = 2
    local_addrs = ${ends.from}
    remote_addrs = ${ends.to}
    mobike = ${mode.mobike === true ? 'yes' : 'no'}
    rekey_time = 0
    ${(isRouter ? mode.router : mode.peer) ?? ''}
    local {
      auth = pubkey
      certs = ${host}.pem
      id = ${host}
    }
    remote {
      auth = pubkey
      ${isRouter ? 'cacerts = ca.pem' : 'id = router1'}
    }
    children {
      web {
        mode = ${mode.mode ?? 'tunnel'}
        local_ts = ${ends.fromTs}
        remote_ts = ${ends.toTs}
        ${mode.proposals ?? 'esp_proposals = aes128gcm16'}
        rekey_time = 0
      }
    }
  }
}
`;
}
