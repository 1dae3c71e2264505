import { expect } from 'chai';
import * as vici from '../../../src/vici/index.ts';
import { FakeCharon } from '../../support/fake-charon.ts';
import { expectRejects } from '../../support/vici.ts';

const counters = Object.fromEntries(vici.COUNTER_NAMES.map((name) => [name, 1]));
const pool = { base: '10.0.0.1', size: 9, online: 0, offline: 0 };
const lease = { address: '10.0.0.1', identity: 'x', status: 'online' };
const uptime = { running: 'x', since: 'x' };
const jobs = { critical: 0, high: 0, medium: 0, low: 0 };
const workers = { total: 1, idle: 1, active: jobs };
const stats = { uptime, workers, queues: jobs, scheduled: 1, ikesas: { total: 0, 'half-open': 0 } };
const child = { mode: 'TUNNEL', rekey_time: 0, rekey_bytes: 0, rekey_packets: 0 };
const connection = { version: 'IKEv2', reauth_time: 0, rekey_time: 0, unique: 'UNIQUE_NO' };
const withChild = (change: object) => ({ x: { ...connection, children: { web: { ...child, ...change } } } });
const secret = vici.KeyMaterial.copyOf(Buffer.from('x'));

/** Replies, or streamed events, that charon would not send, each with the call that must not believe it. */
const LIES: [string, (requester: vici.Requester) => Promise<unknown>, vici.ViciFields][] = [
  ['stats', vici.stats, { ...stats, plugins: 'vici' }],
  ['stats', vici.stats, { ...stats, workers: { ...workers, active: {} } }],
  ['get-conns', vici.getConnections, { conns: 'a' }],
  ['get-keys', vici.getKeys, { keys: {} }],
  ['load-key', (all) => vici.loadKey(all, { type: 'any', data: secret }), { success: true, id: 'nonsense' }],
  ['get-pools', vici.getPools, { x: { ...pool, base: 'nowhere' } }],
  ['get-pools', vici.getPools, { x: { ...pool, size: -1 } }],
  ['get-pools', vici.getPools, { x: { ...pool, leases: { 0: { ...lease, status: 'asleep' } } } }],
  ['get-counters', vici.getCounters, { success: true }],
  ['get-counters', vici.getCounters, { counters: { x: { ...counters, invalid: 2n ** 64n } } }],
  ['get-counters', vici.getCounters, { counters: { x: { ...counters, invalid: '0x1' } } }],
  ['list-conns', vici.listConnections, { x: connection }],
  ['list-conns', vici.listConnections, withChild({ rekey_bytes: '1 G' })],
  ['list-conns', vici.listConnections, withChild({ priority: 2 ** 32 })],
  ['list-conns', vici.listConnections, withChild({ 'local-ts': '10.0.0.0/8' })],
  ['list-policies', vici.listPolicies, { 'x/y': { child: 'y' } }],
  ['list-authorities', vici.listAuthorities, { x: { cacert: 'CN=x', crl_uris: 'http://x' } }],
  ['list-certs', vici.listCertificates, { type: 'X510', data: 'x' }],
  ['list-certs', vici.listCertificates, { type: 'X509', flag: 'ROOT', data: 'x' }],
  ['list-certs', vici.listCertificates, { type: 'X509', data: ['x'] }],
  ['list-certs', vici.listCertificates, { type: 'X509', data: 'x', has_privkey: 'perhaps' }],
  ['list-certs', vici.listCertificates, { type: 'PUBKEY', data: 'x', 'not-before': '20261340000000Z' }],
  ['list-certs', vici.listCertificates, { type: 'PUBKEY', data: 'x', 'not-after': 'tomorrow' }],
];
const EVENTS: Readonly<Record<string, string>> = {
  'list-conns': 'list-conn',
  'list-policies': 'list-policy',
  'list-authorities': 'list-authority',
  'list-certs': 'list-cert',
};

describe('vici commands and a charon that lies', () => {
  let charon: FakeCharon;
  let session: vici.ViciSession;

  before(async () => {
    charon = await new FakeCharon().knows(...Object.values(EVENTS)).start();
    session = await vici.openSession(charon.uri);
  });
  after(async () => {
    session.close();
    await charon.destroy();
  });

  for (const [command, call, lie] of LIES) {
    it(`vici ${command} rejects ${JSON.stringify(vici.ViciMessage.of(lie)).slice(0, 90)}`, async () => {
      const event = EVENTS[command];
      charon.on(command, (_, client) => {
        if (event === undefined) return lie;
        client.event(event, lie);
        return {};
      });
      const error = await expectRejects('invalid', call(session));
      expect(error.message).to.match(/^[a-z-]+(\.[\w-]*)+: expected /);
    });
  }

  it('vici commands go on after a lie: the connection is the same', async () => {
    charon.on('get-conns', () => ({ conns: [] }));
    expect(await vici.getConnections(session)).to.deep.equal([]);
    expect(charon.clients.size).to.equal(2);
  });
});
