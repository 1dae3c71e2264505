import { expect } from 'chai';
import { run } from '../../src/lab/run.ts';
import {
  connect,
  initiate,
  listSas,
  openSession,
  rekey,
  type SaEvent,
  stats,
  subscribeSaEvents,
  systemClock,
  terminate,
  version,
  ViciConnection,
  ViciMessage,
  type ViciSession,
} from '../../src/vici/index.ts';
import { CharonPair, missingForCharonPair } from '../support/charon-pair.ts';
import { expectRejects } from '../support/vici.ts';

/** The client against two real charons with a tunnel between them. One conversation: each step builds on the last. */
describe('vici with a real charon', function () {
  this.timeout(60_000);
  let pair: CharonPair;
  let session: ViciSession;
  let events: SaEvent[];
  let story: string[];

  const until = async (isTrue: () => boolean | Promise<boolean>, what: string) => {
    for (let tries = 0; !(await isTrue()); tries++) {
      if (tries > 200) throw new Error(`never came true: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const saw = (type: SaEvent['type'], count: number) =>
    until(() => events.filter((event) => event.type === type).length >= count, `${count} ${type}`);

  before(async function () {
    const missing = missingForCharonPair();
    if (missing.length > 0) {
      console.log(`    SKIPPED, vici with a real charon is not tested here: no ${missing.join(', ')}`);
      this.skip();
    }
    events = [];
    story = [];
    pair = new CharonPair();
    await pair.start();
    session = await openSession(pair.right.uri, {
      onConnected: () => story.push('connected'),
      onDisconnected: () => story.push('disconnected'),
    });
    await subscribeSaEvents(session, (event) => events.push(event));
  });
  after(async () => {
    session?.close();
    await pair?.stop();
  });

  it('vici with a real charon reads its version and its figures', async () => {
    const said = (await run(pair.swanctl(pair.right, '--version', '--daemon'))).stdout;
    const { version: number } = await version(session);
    expect(said).to.contain(number);
    const { workers, ikeSas, plugins } = await stats(session);
    expect(workers.total).to.equal(16);
    expect(ikeSas).to.deep.equal({ total: 0, halfOpen: 0 });
    expect(plugins).to.include('vici');
  });

  it('vici with a real charon lists no SAs, then the SAs of a tunnel, and hears of both', async () => {
    expect(await listSas(session)).to.deep.equal([]);
    const left = await openSession(pair.left.uri);
    await initiate(left, { child: 'web' }, { tryForMs: 5000, timeoutMs: 8000 });
    const [theirs] = await listSas(left);
    left.close();
    await saw('child-updown', 1);
    const [ike] = await listSas(session, { ike: 'dvipa' });
    expect([ike?.state, ike?.remoteHost]).to.deep.equal(['ESTABLISHED', pair.left.address]);
    const [child, mirrored] = [ike?.children[0], theirs?.children[0]];
    expect([child?.spiIn, child?.spiOut]).to.deep.equal([mirrored?.spiOut, mirrored?.spiIn]);
    expect(events.map((event) => [event.type, 'isUp' in event && event.isUp])).to.deep.equal([
      ['ike-updown', true],
      ['child-updown', true],
    ]);
  });

  it('vici with a real charon sees the bytes of a ping', async () => {
    const { left, right } = pair;
    const ping = [
      'ip',
      'netns',
      'exec',
      left.netns,
      'ping',
      '-c',
      '3',
      '-i',
      '0.2',
      '-I',
      left.inner,
      right.inner,
    ];
    expect((await run(ping)).status).to.equal(0);
    const child = (await listSas(session))[0]?.children[0];
    expect([child?.packetsIn, child?.bytesIn, child?.packetsOut]).to.deep.equal([3, 252, 3]);
    expect(child?.idleInSeconds).to.be.lessThan(5);
  });

  it('vici with a real charon rekeys a CHILD_SA by its unique id', async () => {
    const before = (await listSas(session))[0]?.children[0];
    expect(await rekey(session, { childId: before?.uniqueId ?? 0 })).to.equal(1);
    await saw('child-rekey', 1);
    const event = events.find(({ type }) => type === 'child-rekey');
    const pairOf = event?.type === 'child-rekey' ? [event.old, event.new] : [];
    expect(pairOf[0]?.spiIn).to.equal(before?.spiIn);
    expect(pairOf.map((child) => child?.reqid)).to.deep.equal([before?.reqid, before?.reqid]);
    const listed = (await listSas(session))[0]?.children.find(({ state }) => state === 'INSTALLED');
    expect(listed?.spiIn).to.equal(pairOf[1]?.spiIn);
  });

  it('vici with a real charon rekeys the IKE_SA', async () => {
    expect(await rekey(session, { ike: 'dvipa' })).to.equal(1);
    await saw('ike-rekey', 1);
    const event = events.find(({ type }) => type === 'ike-rekey');
    expect(event?.type === 'ike-rekey' && event.new.uniqueId > event.old.uniqueId).to.equal(true);
  });

  it('vici with a real charon is refused with its words, and told of unknown names', async () => {
    const error = await expectRejects('refused', rekey(session, { child: 'nobody' }));
    expect(error.errmsg).to.equal('no matching SAs to rekey found');
    await expectRejects('refused', terminate(session, { ikeId: 4711 }));
    await expectRejects('refused', initiate(session, { child: 'nobody' }));
    await expectRejects('unknown-command', session.request('no-such-command'));
    await expectRejects(
      'unknown-event',
      session.subscribe('no-such-event', () => undefined),
    );
  });

  it('vici with a real charon sends and reads messages of every shape', async () => {
    const child = { local_ts: ['10.2.0.0/16', '10.3.0.0/16'], esp_proposals: ['aes256gcm16'] };
    const conn = {
      remote_addrs: ['192.0.2.250'],
      version: 2,
      local: { auth: 'psk' },
      remote: { auth: 'psk' },
    };
    const message = ViciMessage.of({ 'buero-1': { ...conn, children: { __proto: child } } });
    await session.request('load-conn', message);
    const seen: [string, ViciMessage][] = [];
    const take = (event: ViciMessage) => seen.push(...event.sections());
    await session.requestStream('list-conns', ['list-conn'], take, ViciMessage.of({ ike: 'buero-1' }));
    const [[name, section]] = seen as [[string, ViciMessage]];
    expect(name).to.equal('buero-1');
    expect(section.section('children')?.section('__proto')?.list('local-ts')).to.deep.equal(child.local_ts);
  });

  it('vici with a real charon: charon ends the connection of a client that sends nonsense, and we say so', async () => {
    const connection = new ViciConnection(await connect(pair.right.uri), { clock: systemClock });
    const stream = await connect(pair.right.uri);
    const ended = new Promise((resolve) => stream.start({ bytes: () => undefined, closed: resolve }));
    stream.write(Buffer.from('ffffffff', 'hex'));
    await ended;
    expect((await version(connection)).daemon).to.contain('charon'); // others are not disturbed
    connection.close();
  });

  it('vici with a real charon survives its restart: subscribed again, and the list is empty', async () => {
    await pair.stopCharon(pair.right, 'SIGKILL');
    await until(() => session.state !== 'connected', 'disconnected');
    await expectRejects('disconnected', version(session));
    await pair.startCharon(pair.right);
    await until(() => session.state === 'connected', 'connected');
    expect(story[0]).to.equal('connected');
    expect(story.at(-1)).to.equal('connected');
    expect(story).to.include('disconnected');
    expect(await listSas(session)).to.deep.equal([]);
    events.length = 0;
    await initiate(session, { child: 'web' }, { tryForMs: 8000, timeoutMs: 12_000 });
    await saw('child-updown', 1);
  });

  it('vici with a real charon terminates the IKE_SA and hears of it', async () => {
    expect(await terminate(session, { ike: 'dvipa' }, { tryForMs: 5000 })).to.be.greaterThan(0);
    await until(() => events.some((event) => event.type === 'ike-updown' && !event.isUp), 'ike down');
    expect(await listSas(session)).to.deep.equal([]);
  });
});
