import { expect } from 'chai';
import * as vici from '../../../src/vici/index.ts';
import { FakeCharon } from '../../support/fake-charon.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedStream } from '../../support/scripted-stream.ts';

const { KeyMaterial, STOCK_COMMANDS } = vici;
const secretOf = (text: string) => KeyMaterial.copyOf(Buffer.from(text));
const OK = { success: true };
const MATCHES = { success: true, matches: 2 };
const ID = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';

interface Exchange {
  readonly call: (requester: vici.Requester) => Promise<unknown>;
  /** The request, as it must be. */
  readonly asks: object;
  readonly reply?: vici.ViciFields;
  /** What the call must resolve with. */
  readonly gives?: unknown;
}

/** One exchange at least for every stock command: a command without one does not compile. */
const EXCHANGES: Record<keyof typeof STOCK_COMMANDS, Exchange | readonly Exchange[]> = {
  version: {
    call: vici.version,
    asks: {},
    reply: { daemon: 'charon', version: '6.0.3', sysname: 'Linux', release: '6', machine: 'x86_64' },
    gives: { daemon: 'charon', version: '6.0.3', sysname: 'Linux', release: '6', machine: 'x86_64' },
  },
  stats: {
    call: async (requester) => (await vici.stats(requester)).workers,
    asks: {},
    reply: {
      uptime: { running: '2 hours', since: 'Nov 23 00:39:35 2026' },
      workers: { total: 16, idle: 11, active: { critical: 4, high: 0, medium: 1, low: 0 } },
      queues: { critical: 0, high: 0, medium: 0, low: 0 },
      scheduled: 3,
      ikesas: { total: 1, 'half-open': 0 },
      plugins: ['vici'],
    },
    gives: { total: 16, idle: 11, active: { critical: 4, high: 0, medium: 1, low: 0 } },
  },
  'reload-settings': { call: vici.reloadSettings, asks: {}, reply: OK },
  initiate: {
    call: (requester) =>
      vici.initiate(requester, { child: 'web', withLimits: true }, { tryForMs: 9, logLevel: 2 }),
    asks: { child: 'web', 'init-limits': 'yes', timeout: '9', loglevel: '2' },
    reply: OK,
  },
  terminate: {
    call: (requester) => vici.terminate(requester, { childId: 3, ike: 'dvipa', force: false }),
    asks: { 'child-id': '3', ike: 'dvipa', timeout: '-1' },
    reply: MATCHES,
    gives: 2,
  },
  rekey: {
    call: (requester) => vici.rekey(requester, { ikeId: 3, reauth: true }),
    asks: { 'ike-id': '3', reauth: 'yes' },
    reply: MATCHES,
    gives: 2,
  },
  redirect: {
    call: (requester) =>
      vici.redirect(requester, { ike: 'x', ikeId: 3, peerIp: '10.0.0.0/8', peerId: '*.test' }, 'gate.test'),
    asks: { ike: 'x', 'ike-id': '3', 'peer-ip': '10.0.0.0/8', 'peer-id': '*.test', gateway: 'gate.test' },
    reply: MATCHES,
    gives: 2,
  },
  install: {
    call: (requester) => vici.install(requester, { child: 'web', ike: 'dvipa' }),
    asks: { child: 'web', ike: 'dvipa' },
    reply: OK,
  },
  uninstall: {
    call: (requester) => vici.uninstall(requester, { child: 'web' }),
    asks: { child: 'web' },
    reply: OK,
  },
  'list-sas': {
    call: (requester) => vici.listSas(requester, { ikeId: 1, isNonBlocking: true }),
    asks: { 'ike-id': '1', noblock: 'yes' },
    gives: [],
  },
  'list-policies': [
    {
      call: (requester) => vici.listPolicies(requester),
      asks: { trap: 'yes', pass: 'yes', drop: 'yes' },
      gives: [],
    },
    {
      call: (requester) => vici.listPolicies(requester, { kinds: ['drop'], child: 'web', ike: 'dvipa' }),
      asks: { drop: 'yes', child: 'web', ike: 'dvipa' },
      gives: [],
    },
  ],
  'list-conns': {
    call: (requester) => vici.listConnections(requester, { ike: 'x' }),
    asks: { ike: 'x' },
    gives: [],
  },
  'get-conns': { call: vici.getConnections, asks: {}, reply: { conns: ['a', 'b'] }, gives: ['a', 'b'] },
  'list-certs': {
    call: (requester) => vici.listCertificates(requester, { type: 'X509', flag: 'CA', subject: 'CN=x' }),
    asks: { type: 'X509', flag: 'CA', subject: 'CN=x' },
    gives: [],
  },
  'list-authorities': { call: (requester) => vici.listAuthorities(requester), asks: {}, gives: [] },
  'get-authorities': {
    call: vici.getAuthorities,
    asks: {},
    reply: { authorities: ['home'] },
    gives: ['home'],
  },
  'load-conn': {
    call: (requester) =>
      vici.loadConnection(requester, '__proto__', {
        version: 2,
        remoteAddrs: ['192.0.2.10', '%any'],
        dpdDelay: '30s',
        ppkRequired: true,
        more: { brand_new: 'option' },
        local: { auth: 'psk', id: 'left' },
        remote: [{ auth: 'pubkey', cacerts: ['PEM'], cacertSources: [{ file: 'ca.pem' }] }, { auth: 'eap' }],
        children: new Map([
          [
            '__proto__',
            { localTs: ['dynamic'], sha256_96: true, rekeyBytes: 2n ** 63n, policiesFwdOut: false },
          ],
        ]),
      }),
    asks: JSON.parse(`{ "__proto__": {
      "version": "2", "remote_addrs": ["192.0.2.10", "%any"], "dpd_delay": "30s", "ppk_required": "yes",
      "local-1": { "auth": "psk", "id": "left" },
      "remote-1": { "auth": "pubkey", "cacerts": ["PEM"], "cacert-1": { "file": "ca.pem" } },
      "remote-2": { "auth": "eap" },
      "children": { "__proto__": { "local_ts": ["dynamic"], "sha256_96": "yes",
        "rekey_bytes": "9223372036854775808", "policies_fwd_out": "no" } },
      "brand_new": "option" } }`) as object,
    reply: OK,
  },
  'unload-conn': {
    call: (requester) => vici.unloadConnection(requester, 'x'),
    asks: { name: 'x' },
    reply: OK,
  },
  'load-cert': {
    call: (requester) => vici.loadCertificate(requester, { type: 'X509', flag: 'CA', data: 'PEM' }),
    asks: { type: 'X509', flag: 'CA', data: 'PEM' },
    reply: OK,
  },
  'load-key': {
    call: (requester) => vici.loadKey(requester, { type: 'any', data: secretOf('PEM') }),
    asks: { type: 'any', data: 'PEM' },
    reply: { success: true, id: ID },
    gives: ID,
  },
  'unload-key': { call: (requester) => vici.unloadKey(requester, ID), asks: { id: ID }, reply: OK },
  'get-keys': { call: vici.getKeys, asks: {}, reply: { keys: [ID] }, gives: [ID] },
  'load-token': {
    call: (requester) =>
      vici.loadToken(requester, { handle: 'ab', slot: 1, module: 'hsm', pin: secretOf('1234') }),
    asks: { handle: 'ab', slot: '1', module: 'hsm', pin: '1234' },
    reply: { success: true, id: ID },
    gives: ID,
  },
  'load-shared': {
    call: (requester) =>
      vici.loadShared(requester, { id: 'a', type: 'PPK', secret: secretOf('psk'), owners: ['x', 'y'] }),
    asks: { id: 'a', type: 'PPK', data: 'psk', owners: ['x', 'y'] },
    reply: OK,
  },
  'unload-shared': { call: (requester) => vici.unloadShared(requester, 'a'), asks: { id: 'a' }, reply: OK },
  'get-shared': { call: vici.getShared, asks: {}, reply: { keys: [] }, gives: [] },
  'flush-certs': {
    call: (requester) => vici.flushCertificates(requester, { type: 'X509_CRL' }),
    asks: { type: 'X509_CRL' },
    reply: OK,
  },
  'clear-creds': { call: vici.clearCredentials, asks: {}, reply: OK },
  'load-authority': {
    call: (requester) =>
      vici.loadAuthority(requester, 'home', {
        handle: 'ab',
        slot: 0,
        crlUris: ['http://x'],
        certUriBase: 'http://y',
      }),
    asks: { home: { handle: 'ab', slot: '0', crl_uris: ['http://x'], cert_uri_base: 'http://y' } },
    reply: OK,
  },
  'unload-authority': {
    call: (requester) => vici.unloadAuthority(requester, 'x'),
    asks: { name: 'x' },
    reply: OK,
  },
  'load-pool': {
    call: (requester) =>
      vici.loadPool(requester, 'roads', {
        addrs: '10.3.0.0/24',
        pCscf: ['10.3.0.1'],
        splitInclude: ['10.0.0.0/8'],
        numbered: new Map([[28, ['corp.test']]]),
      }),
    asks: {
      roads: { addrs: '10.3.0.0/24', p_cscf: ['10.3.0.1'], split_include: ['10.0.0.0/8'], 28: ['corp.test'] },
    },
    reply: OK,
  },
  'unload-pool': {
    call: (requester) => vici.unloadPool(requester, 'roads'),
    asks: { name: 'roads' },
    reply: OK,
  },
  'get-pools': {
    call: async (requester) =>
      (await vici.getPools(requester, { name: 'a', leases: true })).map(({ leases }) => leases),
    asks: { name: 'a', leases: 'yes' },
    reply: {
      a: {
        base: 'fd00:0:0::1',
        size: 9,
        online: 0,
        offline: 1,
        leases: { 0: { address: 'fd00:0::2', identity: 'left', status: 'offline' } },
      },
      b: { base: '10.0.0.1', size: 9, online: 0, offline: 0 },
    },
    gives: [[{ address: 'fd00::2', identity: 'left', isOnline: false }], []],
  },
  'get-algorithms': [
    {
      call: async (requester) => (await vici.getAlgorithms(requester)).keyExchange,
      asks: {},
      reply: { dh: { CURVE_25519: 'openssl' } },
      gives: [{ name: 'CURVE_25519', plugin: 'openssl' }],
    },
    {
      call: async (requester) => (await vici.getAlgorithms(requester)).keyExchange,
      asks: {},
      reply: { ke: { ML_KEM_768: 'ml' } }, // 6.0's name of the section
      gives: [{ name: 'ML_KEM_768', plugin: 'ml' }],
    },
  ],
  'get-counters': {
    call: async (requester) =>
      (await vici.getCounters(requester, { all: true })).map(({ name, counters }) => [
        name,
        counters.invalid,
      ]),
    asks: { all: 'yes' },
    reply: {
      ...OK,
      counters: { '': Object.fromEntries(vici.COUNTER_NAMES.map((name) => [name, 2n ** 64n - 1n])) },
    },
    gives: [['', 2n ** 64n - 1n]],
  },
  'reset-counters': {
    call: (requester) => vici.resetCounters(requester, { name: 'dvipa' }),
    asks: { name: 'dvipa' },
    reply: OK,
  },
};

describe('vici stock commands', () => {
  let charon: FakeCharon;
  let session: vici.ViciSession;

  before(async () => {
    charon = await new FakeCharon()
      .knows('list-sa', 'list-policy', 'list-conn', 'list-cert', 'list-authority')
      .start();
    session = await vici.openSession(charon.uri);
  });
  after(async () => {
    session.close();
    await charon.destroy();
  });

  for (const [command, exchanges] of Object.entries(EXCHANGES)) {
    it(`vici ${command} is asked as charon expects it, and its answer read`, async () => {
      const all: readonly Exchange[] = 'call' in exchanges ? [exchanges] : exchanges;
      for (const { call, asks, reply = {}, gives } of all) {
        let asked: vici.ViciMessage | undefined;
        charon.on(command, (request) => {
          asked = request;
          return reply;
        });
        expect(await call(session)).to.deep.equal(gives);
        expect(JSON.parse(JSON.stringify(asked))).to.deep.equal(asks);
      }
    });
  }

  it('vici loadShared, loadKey and loadToken leave a secret to its owner and no copy of it in what they sent', async () => {
    const stream = new ScriptedStream();
    const connection = new vici.ViciConnection(stream, { clock: new ManualClock() });
    const secret = secretOf('s3cret');
    const calls = [
      vici.loadShared(connection, { type: 'IKE', secret }),
      vici.loadKey(connection, { type: 'any', data: secret }),
      vici.loadToken(connection, { handle: 'ab', pin: secret }),
    ];
    for (const _ of calls) {
      expect(Buffer.from(stream.written.at(-1) as Uint8Array).includes('s3cret')).to.equal(true);
      stream.say({ type: 'command-response', message: vici.ViciMessage.of({ ...OK, id: ID }) });
    }
    await Promise.all(calls);
    expect(stream.written.some((bytes) => Buffer.from(bytes).includes('s3cret'))).to.equal(false);
    expect(secret.reveal().toString()).to.equal('s3cret');
    connection.close();
  });

  it('vici initiate hands on what charon logs for it, and no event of others', async () => {
    const lines: vici.LogLine[] = [];
    charon.knows('control-log').on('initiate', (_, client) => {
      client.event('control-log', {
        group: 'IKE',
        level: 1,
        'ikesa-name': 'x',
        'ikesa-uniqueid': 3,
        msg: 'hello',
      });
      client.event('log', { group: 'CFG', level: 1, msg: 'of nobody' });
      return OK;
    });
    await vici.initiate(session, { ike: 'x' }, { tryForMs: 100, onLog: (line) => lines.push(line) });
    expect(lines).to.deep.equal([
      { group: 'IKE', level: 1, text: 'hello', thread: undefined, ike: { name: 'x', uniqueId: 3 } },
    ]);
  });
});
