import { expect } from 'chai';
import { parseSaEvent } from '../../src/vici/charon/sa-events.ts';
import { connect, openSession } from '../../src/vici/connect.ts';
import type { ViciError } from '../../src/vici/error.ts';
import { type SessionOptions, ViciSession } from '../../src/vici/session.ts';
import { FakeCharon, type FakeClient } from '../support/fake-charon.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { expectRejects, until } from '../support/vici.ts';

/** Conversations over real unix sockets; time is the test's. */
describe('vici session', () => {
  let charon: FakeCharon;
  let clock: ManualClock;
  let session: ViciSession;
  let story: string[];

  const create = (options: Partial<SessionOptions> = {}) => {
    session = new ViciSession({
      clock,
      random: () => 0.999_999,
      open: (signal) => connect(charon.uri, signal),
      onConnected: () => story.push('connected'),
      onDisconnected: (reason, retryInMs) => story.push(`${reason.code}, again in ${Math.round(retryInMs)}`),
      ...options,
    });
    return session;
  };
  const connected = () => until(() => session.state === 'connected', 'connected');

  beforeEach(async () => {
    charon = await new FakeCharon().knows('ike-updown', 'child-updown', 'list-sa').start();
    charon.on('version', () => ({ version: '5.9.8' }));
    clock = new ManualClock();
    story = [];
    create();
  });
  afterEach(async () => {
    session.close();
    expect(clock.pending, 'timers left').to.equal(0);
    await charon.destroy();
  });

  it('vici session opens a connection for commands and one for events, subscribes, and then is connected', async () => {
    await session.subscribe('ike-updown', () => undefined);
    session.start();
    await connected();
    expect((await session.request('version')).text('version')).to.equal('5.9.8');
    expect(charon.log).to.deep.equal(['register ike-updown', 'command version']);
    expect(charon.clients.size).to.equal(2);
    expect(story).to.deep.equal(['connected']);
  });

  it('vici session reconnects after the daemon died: subscribes first, then says so, then hears events again', async () => {
    const events: string[] = [];
    await session.subscribe('ike-updown', (message) => events.push(message.text('n') ?? ''));
    session.start();
    await connected();
    charon.raise('ike-updown', { n: 1 });
    await until(() => events.length === 1);
    await charon.stop();
    await until(() => session.state === 'waiting');
    await expectRejects('disconnected', session.request('version'));
    await charon.start();
    charon.log.length = 0;
    clock.advance(100);
    await connected();
    expect(charon.log).to.deep.equal(['register ike-updown']);
    charon.raise('ike-updown', { n: 2 });
    await until(() => events.length === 2);
    expect(events).to.deep.equal(['1', '2']);
    expect(story).to.deep.equal(['connected', 'disconnected, again in 100', 'connected']);
  });

  it('vici session waits longer from attempt to attempt, up to a limit, while nobody listens', async () => {
    await charon.stop();
    session.start();
    for (let attempts = 1; attempts <= 8; attempts++) {
      await until(() => story.length === attempts);
      clock.advance(5000);
    }
    await until(() => story.length === 9);
    const delays = story.map((line) => Number(line.split(' ').at(-1)));
    expect(delays).to.deep.equal([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  it('vici session spreads its attempts: half of each delay is chance', async () => {
    await charon.stop();
    create({ random: () => 0 }).start();
    await until(() => story.length === 1);
    expect(story).to.deep.equal(['disconnected, again in 50']);
  });

  it('vici session counts delays from the start again only after a connection that held', async () => {
    charon.on('die', (_, client) => client.destroy());
    session.start();
    for (const livedMs of [0, 0, 6000]) {
      await connected();
      clock.advance(livedMs);
      await expectRejects('disconnected', session.request('die'));
      clock.advance(1000);
    }
    await connected();
    expect(story.filter((line) => line.includes('again'))).to.deep.equal([
      'disconnected, again in 100',
      'disconnected, again in 200',
      'disconnected, again in 100',
    ]);
  });

  it('vici session gives up both connections when one ends', async () => {
    session.start();
    await connected();
    const [first] = charon.clients;
    (first as FakeClient).destroy();
    await until(() => session.state === 'waiting');
    await until(() => charon.clients.size === 0);
  });

  it('vici session rejects a command whose reply the daemon did not finish', async () => {
    charon.on('half', (_, client) => {
      client.sendBytes(Buffer.from('00000020010307', 'hex'));
      client.end();
      return undefined;
    });
    session.start();
    await connected();
    const error = await expectRejects('disconnected', session.request('half'));
    expect(error.message).to.equal('connection ended inside a packet');
  });

  it('vici session drops a daemon that sends more than 512 KiB in one packet, or nonsense', async () => {
    charon.on('big', (_, client) => client.sendBytes(Buffer.from('00080001', 'hex')));
    charon.on('nonsense', (_, client) => client.sendBytes(Buffer.from('0000000201ff', 'hex')));
    session.start();
    await connected();
    await expectRejects('too-big', session.request('big'));
    clock.advance(100);
    await connected();
    await expectRejects('malformed', session.request('nonsense'));
    expect(story).to.deep.equal([
      'connected',
      'too-big, again in 100',
      'connected',
      'malformed, again in 200',
    ]);
  });

  it('vici session hears events between the replies of commands, in order', async () => {
    const events: string[] = [];
    await session.subscribe('ike-updown', (message) => events.push(message.text('n') ?? ''));
    charon.on('version', () => {
      charon.raise('ike-updown', { n: charon.log.length });
      return {};
    });
    session.start();
    await connected();
    await Promise.all([session.request('version'), session.request('version'), session.request('version')]);
    await until(() => events.length === 3);
    expect(events).to.deep.equal(['2', '3', '4']);
  });

  it('vici session subscribes while it is connected, and stops when asked', async () => {
    session.start();
    await connected();
    const events: string[] = [];
    const stop = await session.subscribe('child-updown', () => events.push('a'));
    const stopOther = await session.subscribe('child-updown', () => events.push('b'));
    charon.raise('child-updown', {});
    await until(() => events.length === 2);
    stop();
    charon.raise('child-updown', {});
    await until(() => events.length === 3);
    stopOther();
    await until(() => charon.log.includes('unregister child-updown'));
    expect(charon.raise('child-updown', {})).to.equal(0);
    expect(events).to.deep.equal(['a', 'b', 'b']);
  });

  it('vici session refuses a subscription to an unknown event, and forgets it', async () => {
    session.start();
    await connected();
    await expectRejects(
      'unknown-event',
      session.subscribe('nobody', () => undefined),
    );
    await charon.stop();
    await charon.start();
    await until(() => session.state === 'waiting');
    clock.advance(100);
    await connected();
  });

  it('vici session counts a daemon that lacks an event as a failed attempt', async () => {
    await session.subscribe('nobody', () => undefined);
    session.start();
    await until(() => story.length === 1);
    expect(story).to.deep.equal(['unknown-event, again in 100']);
    await until(() => charon.clients.size === 0);
    charon.knows('nobody');
    clock.advance(100);
    await connected();
  });

  it('vici session rejects an unknown command and lives on', async () => {
    session.start();
    await connected();
    await expectRejects('unknown-command', session.request('nobody'));
    await session.request('version');
  });

  it('vici session streams events to the command that caused them', async () => {
    charon.on('list-sas', (_, client) => {
      for (const n of [1, 2, 3]) client.event('list-sa', { n });
      return {};
    });
    session.start();
    await connected();
    const seen: (string | undefined)[] = [];
    await session.requestStream('list-sas', ['list-sa'], (message) => seen.push(message.text('n')));
    expect(seen).to.deep.equal(['1', '2', '3']);
  });

  it('vici session gives up an attempt that takes too long, and tries again', async () => {
    let hang = true;
    create({
      timeoutMs: 300,
      open: (signal) =>
        hang
          ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
          : connect(charon.uri, signal),
    }).start();
    clock.advance(300);
    await until(() => story.length === 1);
    expect(story).to.deep.equal(['timeout, again in 100']);
    hang = false;
    clock.advance(100);
    await connected();
  });

  it('vici session times out on a daemon that accepts and never answers', async () => {
    create({ timeoutMs: 300 });
    charon.on('silent', () => undefined);
    session.start();
    await connected();
    const call = session.request('silent');
    await until(() => charon.log.includes('command silent'));
    clock.advance(300);
    await expectRejects('timeout', call);
    expect(session.state).to.equal('waiting');
  });

  it('vici session reports an event that its handler finds invalid, and lives on', async () => {
    const invalid: string[] = [];
    create({ onInvalidEvent: (event, error) => invalid.push(`${event}: ${error.code}`) });
    await session.subscribe('ike-updown', (message) => void parseSaEvent('ike-updown', message));
    session.start();
    await connected();
    charon.raise('ike-updown', { up: true });
    await until(() => invalid.length === 1);
    expect(invalid).to.deep.equal(['ike-updown: invalid']);
    expect(session.state).to.equal('connected');
  });

  for (const [when, prepare] of [
    ['before it started', async () => undefined],
    ['while it connects', async () => session.start()],
    ['while it is connected', async () => (session.start(), connected())],
    [
      'while it waits',
      async () => {
        await charon.stop();
        session.start();
        await until(() => session.state === 'waiting');
      },
    ],
  ] as const) {
    it(`vici session leaves nothing open when it is closed ${when}, twice`, async () => {
      await prepare();
      session.close();
      session.close();
      await until(() => charon.clients.size === 0);
      expect([session.state, clock.pending]).to.deep.equal(['closed', 0]);
      await expectRejects('closed', session.request('version'));
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
      expect([session.state, charon.clients.size]).to.deep.equal(['closed', 0]);
    });
  }

  it('vici session cannot start twice', () => {
    session.start();
    expect(() => session.start()).to.throw('cannot start');
  });

  it('vici session rejects commands under way with disconnected when it loses the other connection', async () => {
    charon.on('silent', () => {
      for (const client of charon.clients) if (client.events.size > 0) client.destroy();
      return undefined;
    });
    await session.subscribe('ike-updown', () => undefined);
    session.start();
    await connected();
    await expectRejects('disconnected', session.request('silent'));
  });
});

describe('vici connect', () => {
  it('vici connect rejects when nobody listens, and names the address', async () => {
    const error: ViciError = await expectRejects('disconnected', connect('unix:///nonexistent/charon.vici'));
    expect(error.message).to.contain('unix:///nonexistent/charon.vici');
    expect((error.cause as NodeJS.ErrnoException).code).to.equal('ENOENT');
  });

  for (const uri of [
    '',
    'charon.vici',
    'http://x:1',
    'tcp://host',
    'tcp://host:0',
    'tcp://host:65536',
    'tcp://:4502',
  ]) {
    it(`vici connect refuses "${uri}"`, async () => {
      await expectRejects('invalid', connect(uri));
    });
  }

  it('vici connect takes a plain path, and a signal', async () => {
    const charon = await new FakeCharon().start();
    (await connect(charon.uri.replace('unix://', ''))).close();
    await expectRejects('aborted', connect(charon.uri, AbortSignal.abort()));
    const abort = new AbortController();
    const attempt = connect(charon.uri, abort.signal);
    abort.abort();
    await expectRejects('aborted', attempt);
    await charon.destroy();
  });

  it('vici openSession resolves with a connected session', async () => {
    const charon = await new FakeCharon().on('version', () => ({ version: '6' })).start();
    const session = await openSession(charon.uri);
    expect((await session.request('version')).text('version')).to.equal('6');
    session.close();
    await charon.destroy();
  });

  it('vici openSession rejects if the first attempt fails', async () => {
    await expectRejects('disconnected', openSession('unix:///nonexistent/charon.vici'));
  });
});
