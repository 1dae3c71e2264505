import { expect } from 'chai';
import * as vici from '../../../src/vici/index.ts';
import { FakeCharon } from '../../support/fake-charon.ts';
import { expectRejects, expectThrows, until } from '../../support/vici.ts';

const message = (fields: vici.ViciFields) =>
  vici.decodeMessage(vici.encodeMessage(vici.ViciMessage.of(fields)));
const nothing = () => undefined;
const IKE = {
  uniqueid: 1,
  version: 2,
  state: 'ESTABLISHED',
  'local-host': '192.0.2.10',
  'local-port': 4500,
  'remote-host': '192.0.2.101',
  'remote-port': 4500,
};
const UPDATE = {
  'local-host': '192.0.2.10',
  'local-port': 4500,
  'remote-host': '2001:db8::1',
  'remote-port': 1024,
  dvipa: IKE,
};

describe('vici stock events', () => {
  let charon: FakeCharon;
  let session: vici.ViciSession;

  beforeEach(async () => {
    charon = await new FakeCharon().knows(...Object.keys(vici.STOCK_EVENTS)).start();
    for (const command of Object.keys(vici.STOCK_COMMANDS)) charon.on(command, () => ({ success: true }));
    session = await vici.openSession(charon.uri);
  });
  afterEach(async () => {
    session.close();
    await charon.destroy();
  });

  /** What brings each; an event without one does not compile. */
  const bring: Record<keyof typeof vici.STOCK_EVENTS, () => Promise<unknown>> = {
    log: () => vici.subscribeLog(session, nothing),
    'control-log': () => vici.initiate(session, { child: 'web' }, { tryForMs: 1, onLog: nothing }),
    'list-sa': () => vici.listSas(session),
    'list-policy': () => vici.listPolicies(session),
    'list-conn': () => vici.listConnections(session),
    'list-cert': () => vici.listCertificates(session),
    'list-authority': () => vici.listAuthorities(session),
    'ike-updown': () => vici.subscribeSaEvents(session, nothing),
    'ike-rekey': () => vici.subscribeSaEvents(session, nothing),
    'ike-update': () => vici.subscribeIkeUpdates(session, nothing),
    'child-updown': () => vici.subscribeSaEvents(session, nothing),
    'child-rekey': () => vici.subscribeSaEvents(session, nothing),
    alert: () => vici.subscribeAlerts(session, nothing),
  };
  for (const [event, call] of Object.entries(bring)) {
    it(`vici ${event} is registered for by the function that brings it`, async () => {
      await call();
      expect(charon.log).to.include(`register ${event}`);
    });
  }

  it('vici log, ike-update and alert reach their handlers; what is invalid does not, and is told', async () => {
    const seen: unknown[] = [];
    const invalid: string[] = [];
    session.close();
    session = await vici.openSession(charon.uri, { onInvalidEvent: (event) => invalid.push(event) });
    await vici.subscribeLog(session, (line) => seen.push(line.thread));
    await vici.subscribeIkeUpdates(session, (update) => seen.push(update.remoteHost, update.ike.remoteHost));
    await vici.subscribeAlerts(session, (alert) => seen.push(alert.type));
    charon.raise('log', { group: 'IKE', level: 1, thread: 7, msg: 'x' });
    charon.raise('log', { group: 'IKE', level: 9, msg: 'x' });
    charon.raise('ike-update', UPDATE);
    charon.raise('ike-update', { ...UPDATE, 'remote-port': 65_536 });
    charon.raise('alert', { type: 'peer-auth-failed' });
    charon.raise('alert', { type: 'ts-mismatch', 'ike-sa': {} });
    await until(() => seen.length + invalid.length === 7, 'all events');
    expect(seen).to.deep.equal([7, '2001:db8::1', '192.0.2.101', 'peer-auth-failed']);
    expect(invalid).to.deep.equal(['log', 'ike-update', 'alert']);
  });

  it('vici subscribeAlerts rejects where charon has no alerts, as before 6.0.3', async () => {
    await charon.destroy();
    session.close();
    charon = await new FakeCharon().start();
    session = await vici.openSession(charon.uri);
    await expectRejects('unknown-event', vici.subscribeAlerts(session, nothing));
  });
});

/** What 6.0 added, written as its vici_query.c builds it (6.0.3): there is no 6.0 here to ask. */
describe('vici messages of strongSwan 6.0', () => {
  it('vici list-sas reads multiple key exchanges, per-CPU SAs, a PPK and IP-TFS', () => {
    const child = {
      name: 'web',
      uniqueid: 7,
      reqid: 3,
      state: 'INSTALLED',
      mode: 'IPTFS',
      protocol: 'ESP',
      'spi-in': 'c0ffee00',
      'spi-out': '00c0ffee',
      'mark-in': '0000002a',
      'mark-out': '0000002b',
      'mark-mask-out': '0000ffff',
      'cpi-in': '1a2b',
      'if-id-in': '00000007',
      'per-cpu-sas': true,
      cpu: 3,
      label: '73797374656d',
      ake1: 'ML_KEM_768',
      ake3: 'ML_KEM_1024',
      esn: 1,
      'from-the-future': 'kept',
    };
    const section = message({ ...IKE, ppk: true, ake1: 'ML_KEM_768', 'child-sas': { 'web-7': child } });
    const ike = vici.parseIkeSa('dvipa', section);
    expect(ike).to.deep.include({ usesPpk: true, additionalKeyExchanges: ['ML_KEM_768'] });
    const { message: raw, ...read } = ike.children[0] as vici.ChildSa;
    expect(read).to.deep.include({
      mode: 'IPTFS',
      markIn: { value: 42, mask: 0xffffffff },
      markOut: { value: 43, mask: 0xffff },
      cpiIn: 0x1a2b,
      ifIdIn: 7,
      isPerCpu: true,
      cpu: 3,
      label: '73797374656d',
      additionalKeyExchanges: ['ML_KEM_768', 'ML_KEM_1024'],
      hasEsn: true,
    });
    expect(raw.text('from-the-future')).to.equal('kept');
    for (const change of [{ 'cpi-in': '1' }, { 'mark-in': 'x' }, { cpu: -1 }, { 'per-cpu-sas': 'all' }]) {
      expectThrows('invalid', () => vici.parseChildSa(message({ ...child, ...change })));
    }
  });

  it('vici list-conns reads ports, and list-policies the reqid of a trap', () => {
    const base = { version: 'IKEv2', reauth_time: 0, rekey_time: 14_400, unique: 'UNIQUE_NO', children: {} };
    const ports = { local_port: 500, remote_port: 4500, ppk_id: 'CN=x', ppk_required: true };
    expect(vici.parseConnection('x', message({ ...base, ...ports }))).to.include({
      localPort: 500,
      remotePort: 4500,
      ppkId: 'CN=x',
      isPpkRequired: true,
    });
    const policy = { child: 'web', reqid: 4, ike: 'dvipa', mode: 'TUNNEL', 'local-ts': ['dynamic'] };
    expect(vici.parsePolicy('dvipa/web', message(policy))).to.include({ reqid: 4, ike: 'dvipa' });
  });

  it('vici alert names its kind, and the IKE_SA that it is about', () => {
    const alert = vici.parseAlert(message({ type: 'retransmit-send', 'ike-sa': { dvipa: IKE } }));
    expect([alert.type, alert.ike?.name]).to.deep.equal(['retransmit-send', 'dvipa']);
    expect(vici.parseAlert(message({ type: 'shutdown-signal' })).ike).to.equal(undefined);
    expectThrows('invalid', () => vici.parseAlert(message({})));
  });
});
