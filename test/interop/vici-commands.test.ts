import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { must, run } from '../../src/lab/run.ts';
import * as vici from '../../src/vici/index.ts';
import { CharonPair, missingForCharonPair } from '../support/charon-pair.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { expectRejects } from '../support/vici.ts';
import { SoftToken } from './support/soft-token.ts';
import { masked, Overheard } from './support/vici-compare.ts';

/**
 * Every command of charon 5.9.8 through its typed function; what lists is compared with what `swanctl --raw` prints at
 * that moment, and what loads is seen in those lists. One conversation: each step builds on the last.
 */
describe('vici commands with a real charon', function () {
  this.timeout(60_000);
  let pair: CharonPair;
  let authority: TestAuthority;
  const token = new SoftToken();
  let session: vici.ViciSession;
  let left: Overheard;
  let right: Overheard;
  const sessions: vici.ViciSession[] = [];
  const secret = vici.KeyMaterial.copyOf(Buffer.from('test only, as well'));

  const swanctl = async (...args: string[]) => (await run(pair.swanctl(pair.right, ...args, '--raw'))).stdout;
  const until = async (isTrue: () => boolean | Promise<boolean>, what: string) => {
    for (let tries = 0; !(await isTrue()); tries++) {
      if (tries > 200) throw new Error(`never came true: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  before(async function () {
    const missing = [...missingForCharonPair(), ...SoftToken.missing()];
    if (missing.length > 0) {
      console.log(`    SKIPPED, vici commands are not tested with charon here: no ${missing.join(', ')}`);
      this.skip();
    }
    authority = await TestAuthority.create();
    const { key } = await authority.issue('target', 'token');
    await token.fill(await must(['openssl', 'pkcs8', '-topk8', '-nocrypt'], { input: key }));
    pair = new CharonPair({
      morePlugins: 'x509 pubkey pkcs1 pkcs8 pkcs11 revocation counters',
      pluginSettings: `pkcs11 { modules { soft { path = ${SoftToken.module} } } }`,
      env: token.env,
    });
    await pair.start();
    session = await vici.openSession(pair.right.uri);
    sessions.push(session, await vici.openSession(pair.left.uri));
    [right, left] = sessions.map((one) => new Overheard(one)) as [Overheard, Overheard];
  });
  after(async () => {
    for (const one of sessions) one.close();
    await pair?.stop();
    token.remove();
  });

  it('vici version, stats and getAlgorithms answer what swanctl prints', async () => {
    expect((await vici.version(right)).daemon).to.equal('charon-systemd');
    expect(right.printed('version reply')).to.equal(await swanctl('--version', '--daemon'));

    const stats = await vici.stats(right);
    expect(stats.plugins).to.include.members(['vici', 'counters']);
    expect(stats.workers.active.critical).to.be.greaterThan(0);
    const steady = (text: string) => text.replaceAll(/\d+( seconds?)?/g, '...');
    expect(steady(right.printed('stats reply'))).to.equal(steady(await swanctl('--stats')));

    const algorithms = await vici.getAlgorithms(right);
    expect(algorithms.aead).to.deep.include({ name: 'AES_GCM_16', plugin: 'openssl' });
    expect(algorithms.keyExchange.map(({ name }) => name)).to.include('CURVE_25519');
    expect(right.printed('get-algorithms reply')).to.equal(await swanctl('--list-algs'));
  });

  it('vici loadCertificate and loadKey: charon lists them, and knows which belong together', async () => {
    const { certificate, key } = await authority.issue('target', 'left');
    await vici.loadCertificate(right, { type: 'X509', flag: 'CA', data: authority.ca });
    await vici.loadCertificate(right, { type: 'X509', data: certificate });
    const id = await vici.loadKey(right, { type: 'ecdsa', data: vici.KeyMaterial.copyOf(Buffer.from(key)) });
    const keyFile = `${authority.folder}/left.key`;
    const known = await must(['pki', '--keyid', '--type', 'priv', '--in', keyFile]);
    expect(known.replaceAll(/[^0-9a-f]/g, '')).to.contain(id);
    expect(await vici.getKeys(right)).to.deep.equal([id]);

    const certificates = await vici.listCertificates(right);
    expect(certificates.map((one) => [one.type, one.flag, one.hasPrivateKey])).to.deep.equal([
      ['X509', 'NONE', true],
      ['X509', 'CA', false],
    ]);
    expect(certificates[1]?.data.toString('base64')).to.equal(
      authority.ca.replaceAll(/-----.*-----|\n/g, ''),
    );
    expect(right.printed('list-certs reply')).to.equal(await swanctl('--list-certs'));
    expect(await vici.listCertificates(right, { type: 'X509', flag: 'CA' })).to.have.length(1);

    await vici.unloadKey(right, id);
    expect(await vici.getKeys(right)).to.deep.equal([]);
    const error = await expectRejects('refused', vici.unloadKey(right, id));
    expect(error.errmsg).to.equal('key not found');
  });

  it('vici loadToken: charon has the key that is on a token, if the PIN is right', async () => {
    const { handle } = token;
    const load = (pin: string) =>
      vici.loadToken(right, { handle, module: 'soft', pin: vici.KeyMaterial.copyOf(Buffer.from(pin)) });
    const error = await expectRejects('refused', load('314159'));
    expect(error.message).to.equal('load-token: loading private key from token failed');
    const id = await load(token.pin);
    expect(await vici.getKeys(right)).to.deep.equal([id]);
    await vici.unloadKey(right, id);
  });

  it('vici loadKey is refused without a word of the key', async () => {
    const noKey = vici.KeyMaterial.copyOf(Buffer.from('no key at all'));
    const error = await expectRejects('refused', vici.loadKey(right, { type: 'rsa', data: noKey }));
    expect(error.message).to.equal('load-key: parsing RSA private key failed');
  });

  it('vici loadAuthority: charon lists it, and unloadAuthority takes it away', async () => {
    const uris = { crlUris: ['http://127.0.0.1:1/crl'], ocspUris: ['http://127.0.0.1:1/ocsp'] };
    const certUriBase = 'http://127.0.0.1:1/certs/';
    await vici.loadAuthority(right, 'home', { cacert: authority.ca, ...uris, certUriBase });
    expect(await vici.getAuthorities(right)).to.deep.equal(['home']);
    const [listed] = await vici.listAuthorities(right);
    expect(listed).to.include({ name: 'home', subject: 'CN=dvipa coupling authority', certUriBase });
    expect([listed?.crlUris, listed?.ocspUris]).to.deep.equal([uris.crlUris, uris.ocspUris]);
    expect(right.printed('list-authorities reply', 'list-authorities event')).to.equal(
      await swanctl('--list-authorities'),
    );
    await vici.unloadAuthority(right, 'home');
    expect(await vici.listAuthorities(right, { name: 'home' })).to.deep.equal([]);
  });

  it('vici loadConnection: charon lists what was asked for', async () => {
    await vici.loadPool(right, 'roads', { addrs: '10.3.0.0/24', dns: ['10.3.0.1', 'fec0::1'] });
    const web = { localTs: ['203.0.113.10/32'], rekeyTime: '1h', rekeyBytes: '500M', rekeyPackets: 1000n };
    await vici.loadConnection(right, 'roads', {
      version: 2,
      localAddrs: [pair.right.address],
      remoteAddrs: ['192.0.2.0/24'],
      proposals: ['aes128-sha256-x25519'],
      pools: ['roads'],
      unique: 'never',
      dpdDelay: 30,
      rekeyTime: '4h',
      local: { auth: 'psk', id: 'right.test' },
      remote: { auth: 'psk', id: 'left.test' },
      children: {
        net: { ...web, espProposals: ['aes128gcm16'] },
        direct: { mode: 'pass', localTs: ['192.0.2.10/32[tcp/22]'], remoteTs: ['192.0.2.0/24[tcp]'] },
        never: { mode: 'drop', localTs: ['203.0.113.10/32'], remoteTs: ['10.9.0.0/16'], priority: 77 },
      },
    });
    expect(await vici.getConnections(right)).to.deep.equal(['dvipa', 'roads']);
    const [roads] = await vici.listConnections(right, { ike: 'roads' });
    expect(roads).to.include({
      version: 'IKEv2',
      unique: 'UNIQUE_NEVER',
      dpdDelaySeconds: 30,
      rekeySeconds: 14_400,
    });
    expect([roads?.local[0]?.class, roads?.remote[0]?.id]).to.deep.equal(['pre-shared key', 'left.test']);
    const [net, direct, never] = roads?.children ?? [];
    expect(net).to.include({ rekeySeconds: 3600, rekeyBytes: 500n * 2n ** 20n, rekeyPackets: 1000n });
    expect([direct?.mode, never?.mode, never?.priority]).to.deep.equal(['PASS', 'DROP', 77]);
    await vici.listConnections(right);
    expect(right.printed('list-conns reply')).to.equal(await swanctl('--list-conns'));
    const pretty = (await run(pair.swanctl(pair.right, '--list-conns', '--pretty'))).stdout;
    const reread = vici.parsePretty(pretty).map(({ label, message }) => vici.formatPretty(message, label));
    expect(reread.join('')).to.equal(pretty);
    expect(
      vici
        .parsePretty(pretty)
        .map(({ label, message }) => vici.formatRaw(message, label))
        .join(''),
    ).to.equal(right.printed('list-conns reply'));

    const wrong = { local: { auth: 'psk' }, remote: { auth: 'psk' }, more: { no_such_option: 'x' } };
    const error = await expectRejects('refused', vici.loadConnection(right, 'wrong', wrong));
    expect(error.errmsg).to.contain('no_such_option');
  });

  it('vici install and uninstall: charon lists trap, pass and drop policies', async () => {
    const choices = [
      { child: 'direct', ike: 'roads' },
      { child: 'never', ike: 'roads' },
      { child: 'web', ike: 'dvipa' },
    ];
    for (const choice of choices) await vici.install(right, choice);
    const policies = await vici.listPolicies(right);
    expect(policies.map(({ name, mode }) => [name, mode])).to.have.deep.members([
      ['dvipa/web', 'TUNNEL'],
      ['roads/direct', 'PASS'],
      ['roads/never', 'DROP'],
    ]);
    expect(right.printed('list-policies reply')).to.equal(await swanctl('--list-pols'));
    const [direct] = await vici.listPolicies(right, { kinds: ['pass'] });
    expect(direct?.localSelectors).to.deep.equal(['192.0.2.10/32[tcp/ssh]']);
    for (const choice of choices) await vici.uninstall(right, choice);
    expect(await vici.listPolicies(right)).to.deep.equal([]);
    await expectRejects('refused', vici.uninstall(right, { child: 'direct' }));
  });

  it('vici initiate brings up a tunnel that was loaded through the library alone, and tells its log', async () => {
    const owners = ['left.test', 'right.test'];
    await vici.loadShared(right, { id: 'roads', type: 'IKE', secret, owners });
    expect(await vici.getShared(right)).to.have.members(['ike-test', 'roads']);
    await vici.loadShared(left, { id: 'roads', type: 'IKE', secret, owners });
    await vici.loadConnection(left, 'home', {
      version: 2,
      remoteAddrs: [pair.right.address],
      vips: ['0.0.0.0'],
      local: { auth: 'psk', id: 'left.test' },
      remote: { auth: 'psk', id: 'right.test' },
      children: { net: { remoteTs: ['203.0.113.10/32'], espProposals: ['aes128gcm16'] } },
    });
    const lines: vici.LogLine[] = [];
    const options = { tryForMs: 8000, timeoutMs: 10_000, onLog: (line: vici.LogLine) => lines.push(line) };
    await vici.initiate(left, { child: 'net', ike: 'home' }, options);
    expect(lines.map(({ text }) => text).join('\n')).to.match(/IKE_SA home\[\d+\] established/);
    expect(lines.every(({ level }) => level <= 1)).to.equal(true);
    expect((await vici.listSas(left))[0]?.localVirtualIps).to.deep.equal(['10.3.0.1']);
  });

  it('vici listSas, getPools and getCounters tell of that tunnel what swanctl prints', async () => {
    const [ike] = await vici.listSas(right);
    expect(ike).to.include({
      name: 'roads',
      encryption: 'AES_CBC',
      prf: 'PRF_HMAC_SHA2_256',
      usesPpk: false,
    });
    expect([ike?.remoteVirtualIps, ike?.keyExchange]).to.deep.equal([['10.3.0.1'], 'CURVE_25519']);
    const steady = (text: string) =>
      masked(text, ['established', 'rekey-time', 'life-time', 'install-time', 'use-in', 'use-out']);
    expect(steady(right.printed('list-sas reply'))).to.equal(steady(await swanctl('--list-sas')));

    const [pool] = await vici.getPools(right, { leases: true });
    expect(pool).to.include({ name: 'roads', base: '10.3.0.0', size: 254, online: 1, offline: 0 });
    expect(pool?.leases).to.deep.equal([{ address: '10.3.0.1', identity: 'left.test', isOnline: true }]);
    expect(right.printed('get-pools reply')).to.equal(await swanctl('--list-pools', '--leases'));
    const error = await expectRejects('refused', vici.unloadPool(right, 'roads'));
    expect(error.errmsg).to.equal('roads has online leases, unable to unload');

    const sets = await vici.getCounters(right, { all: true });
    expect(sets.map(({ name, counters }) => [name, counters['ike-auth-out-resp']])).to.deep.equal([
      ['roads', 1n],
    ]);
    expect(right.printed('counters reply')).to.equal(await swanctl('--counters', '--all'));
    await vici.resetCounters(right, { all: true });
    expect(await vici.getCounters(right, { all: true })).to.deep.equal([]);
    expect((await vici.getCounters(right))[0]?.counters['ike-auth-in-req']).to.equal(1n);
    await vici.resetCounters(right);
    expect((await vici.getCounters(right))[0]?.counters['ike-auth-in-req']).to.equal(0n);
  });

  it('vici log, and ike-update when the peer moves, come as events', async () => {
    const lines: vici.LogLine[] = [];
    const updates: vici.IkeUpdate[] = [];
    const stopLog = await vici.subscribeLog(session, (line) => lines.push(line));
    await vici.subscribeIkeUpdates(session, (update) => updates.push(update));
    const { netns, address } = pair.left;
    const change = (verb: string, prefix: string) =>
      must(['ip', '-n', netns, 'address', verb, `${prefix}/24`, 'dev', 'outside0']);
    await change('delete', address);
    await change('add', '192.0.2.102');
    await until(() => updates.length > 0, 'ike-update');
    expect(updates[0]).to.include({ localHost: pair.right.address, remoteHost: '192.0.2.102' });
    expect(updates[0]?.ike).to.include({ name: 'roads', remoteHost: address });
    expect(lines.find(({ ike }) => ike?.name === 'roads')).to.include({ group: 'NET', level: 1 });
    expect(lines[0]?.thread).to.be.a('number');
    stopLog();
    await expectRejects(
      'unknown-event',
      vici.subscribeAlerts(session, () => undefined),
    ); // of 6.0.3 and later
  });

  it('vici redirect sends a client elsewhere, and says how many it means', async () => {
    const choice = { peerIp: '192.0.2.0/24', peerId: '*.test' };
    expect(await vici.redirect(right, choice, pair.right.address)).to.equal(1);
    const addresses = async () => (await vici.listSas(left)).flatMap((ike) => ike.localVirtualIps);
    await until(async () => (await addresses()).join() === '10.3.0.2', 'left came anew');
    const nobody = vici.redirect(right, { peerIp: '198.51.100.1' }, '192.0.2.250');
    expect((await expectRejects('refused', nobody)).errmsg).to.equal('no matching SAs to redirect found');
  });

  it('vici rekey and terminate: the tunnel is another, then none, and tells its log', async () => {
    const spi = async () => (await vici.listSas(right))[0]?.children.at(-1)?.spiIn;
    const before = await spi();
    expect(await vici.rekey(right, { child: 'net' })).to.equal(1);
    await until(async () => (await spi()) !== before, 'another SPI');
    const groups = new Set<string>();
    const options = {
      tryForMs: 5000,
      timeoutMs: 10_000,
      onLog: (line: vici.LogLine) => groups.add(line.group),
    };
    expect(await vici.terminate(right, { ike: 'roads', force: true }, options)).to.be.greaterThan(0);
    expect([...groups]).to.include('IKE');
    expect(await vici.listSas(right, { ike: 'roads' })).to.deep.equal([]);
  });

  it('vici unload functions and clearCredentials leave nothing behind', async () => {
    await vici.unloadConnection(right, 'roads');
    await vici.unloadConnection(right, 'dvipa');
    await vici.unloadPool(right, 'roads');
    await vici.unloadShared(right, 'roads');
    expect(await vici.getShared(right)).to.deep.equal(['ike-test']);
    await vici.flushCertificates(right, { type: 'X509_CRL' });
    await vici.clearCredentials(right);
    await vici.reloadSettings(right);
    expect(await vici.getConnections(right)).to.deep.equal([]);
    expect(await vici.getPools(right)).to.deep.equal([]);
    expect(await vici.getShared(right)).to.deep.equal([]);
    expect(await vici.listCertificates(right)).to.deep.equal([]);
    await expectRejects('refused', vici.unloadConnection(right, 'roads'));
  });

  it('vici STOCK_COMMANDS: each was asked above, and charon has no other', async () => {
    expect([...new Set([...right.commands, ...left.commands])].toSorted()).to.deep.equal(
      Object.keys(vici.STOCK_COMMANDS).toSorted(),
    );
    const plugin = readFileSync('/usr/lib/ipsec/plugins/libstrongswan-vici.so', 'latin1');
    const words = new Set(plugin.match(/(?<=\0)[a-z]+(-[a-z]+){0,2}(?=\0)/g));
    expect([...words]).to.include.members(['list-sas', 'version', 'control-log']);
    const commands = [...words].filter((word) => !(word in vici.STOCK_COMMANDS));
    const events = [...words].filter((word) => !(word in vici.STOCK_EVENTS));
    for (const command of commands) await expectRejects('unknown-command', session.request(command));
    for (const event of events)
      await expectRejects(
        'unknown-event',
        session.subscribe(event, () => undefined),
      );
  });
});
