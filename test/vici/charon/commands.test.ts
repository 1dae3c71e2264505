import { expect } from 'chai';
import { initiate, listSas, rekey, stats, terminate, version } from '../../../src/vici/index.ts';
import { openSession } from '../../../src/vici/connect.ts';
import type { ViciSession } from '../../../src/vici/session.ts';
import { decodePacket } from '../../../src/vici/packet.ts';
import type { ViciMessage } from '../../../src/vici/message.ts';
import { FakeCharon } from '../../support/fake-charon.ts';
import { fromHex } from '../../support/vectors.ts';
import { charonVector, expectRejects } from '../../support/vici.ts';

/** Typed commands against a fake that answers with the recorded bytes of charon. */
describe('vici commands', () => {
  let charon: FakeCharon;
  let session: ViciSession;
  let asked: ViciMessage[];

  /** Answers `command` with what charon sent in the recording after its confirmations. */
  const replay = (command: string, vector: string) => {
    const frames = charonVector(vector).frames.filter(({ from }) => from === 'charon');
    charon.on(command, (request, client) => {
      asked.push(request);
      for (const { hex } of frames) {
        const bytes = fromHex(hex);
        if (decodePacket(bytes.subarray(4)).type !== 'event-confirm') client.sendBytes(bytes);
      }
    });
  };

  beforeEach(async () => {
    asked = [];
    charon = await new FakeCharon().knows('list-sa').start();
    session = await openSession(charon.uri);
  });
  afterEach(async () => {
    session.close();
    await charon.destroy();
  });

  it('vici version and stats are read as charon sent them', async () => {
    replay('version', 'version');
    replay('stats', 'stats');
    expect(await version(session)).to.include({
      daemon: 'charon-systemd',
      version: '5.9.8',
      sysname: 'Linux',
    });
    const { workers, ikeSas, plugins } = await stats(session);
    expect([workers.total, ikeSas]).to.deep.equal([16, { total: 0, halfOpen: 0 }]);
    expect(plugins).to.include('kernel-libipsec');
  });

  it('vici listSas collects what charon streamed, again and again on one registration', async () => {
    replay('list-sas', 'list-sas with one');
    expect((await listSas(session)).map(({ name }) => name)).to.deep.equal(['dvipa']);
    replay('list-sas', 'list-sas without any');
    expect(await listSas(session)).to.deep.equal([]);
    expect(charon.log).to.deep.equal(['register list-sa', 'command list-sas', 'command list-sas']);
  });

  it('vici listSas filters by what charon can filter by', async () => {
    replay('list-sas', 'list-sas without any');
    await listSas(session, { ike: 'dvipa', ikeId: 3, child: 'web', childId: 4, isNonBlocking: true });
    await listSas(session, {});
    const full = { ike: 'dvipa', 'ike-id': '3', child: 'web', 'child-id': '4', noblock: 'yes' };
    expect(asked.map((message) => message.toJSON())).to.deep.equal([full, {}]);
  });

  it("vici rekey asks by id or name, tells how many match, and rejects with charon's words if none does", async () => {
    replay('rekey', 'rekey child');
    expect(await rekey(session, { childId: 7 })).to.equal(1);
    expect(await rekey(session, { ike: 'dvipa', reauth: true })).to.equal(1);
    replay('rekey', 'rekey refused');
    const error = await expectRejects('refused', rekey(session, { child: 'nobody' }));
    expect(error.errmsg).to.equal('no matching SAs to rekey found');
    const requests = asked.map((message) => message.toJSON());
    expect(requests).to.deep.equal([
      { 'child-id': '7' },
      { ike: 'dvipa', reauth: 'yes' },
      { child: 'nobody' },
    ]);
  });

  it('vici terminate does not wait by default; its log events disturb nobody', async () => {
    replay('terminate', 'terminate, with log events');
    expect(await terminate(session, { ikeId: 2 })).to.equal(1);
    expect(await terminate(session, { ike: 'dvipa', force: true }, { tryForMs: 500 })).to.equal(1);
    expect(asked.map((message) => message.toJSON())).to.deep.equal([
      { 'ike-id': '2', timeout: '-1' },
      { ike: 'dvipa', timeout: '500', force: 'yes' },
    ]);
  });

  it('vici initiate asks for a CHILD_SA, and rejects if charon gave up', async () => {
    charon.on('initiate', (request) => {
      asked.push(request);
      return asked.length === 1
        ? { success: true }
        : { success: false, errmsg: 'establishing CHILD_SA failed' };
    });
    await initiate(session, { child: 'web', ike: 'dvipa' });
    await expectRejects('refused', initiate(session, { child: 'web' }, { tryForMs: 1000 }));
    expect(asked[0]?.toJSON()).to.deep.equal({ child: 'web', ike: 'dvipa', timeout: '-1' });
  });

  it('vici commands reject replies that are not what they should be', async () => {
    charon.on('version', () => ({ daemon: 'x' })).on('rekey', () => ({ success: true, matches: 'many' }));
    charon.on('list-sas', (_, client) => {
      client.event('list-sa', { dvipa: { uniqueid: 'one' } });
      return {};
    });
    await expectRejects('invalid', version(session));
    await expectRejects('invalid', rekey(session, {}));
    await expectRejects('invalid', listSas(session));
    charon.on('version', () => ({ daemon: 'x', version: '6', sysname: 'Linux', release: '6', machine: 'm' }));
    expect((await version(session)).version).to.equal('6');
  });
});
