import { expect } from 'chai';
import { ViciConnection, type ConnectionOptions } from '../../src/vici/connection.ts';
import type { ViciError } from '../../src/vici/error.ts';
import { ViciMessage } from '../../src/vici/message.ts';
import { encodePacket, type ViciPacket } from '../../src/vici/packet.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedStream } from '../support/scripted-stream.ts';
import { expectRejects } from '../support/vici.ts';

const reply = (fields: Record<string, string> = {}): ViciPacket => ({
  type: 'command-response',
  message: ViciMessage.of(fields),
});
const event = (name: string, n: number): ViciPacket => ({
  type: 'event',
  name,
  message: ViciMessage.of({ n }),
});
const confirm: ViciPacket = { type: 'event-confirm' };
/** Lets settled promises run their continuations. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('vici connection', () => {
  let clock: ManualClock;
  let stream: ScriptedStream;
  let events: string[];
  let ended: ViciError[];
  let connection: ViciConnection;

  const open = (options: Partial<ConnectionOptions> = {}) => {
    stream = new ScriptedStream();
    connection = new ViciConnection(stream, {
      clock,
      onEvent: (name, message) => events.push(`${name} ${message.text('n')}`),
      onClosed: (reason) => ended.push(reason),
      ...options,
    });
  };
  const sentNames = () => stream.sent.map((packet) => ('name' in packet ? packet.name : packet.type));

  beforeEach(() => {
    clock = new ManualClock();
    events = [];
    ended = [];
    open();
  });
  afterEach(() => {
    connection.close();
    expect(clock.pending, 'timers left').to.equal(0);
  });

  it('vici connection resolves a command with its reply', async () => {
    const answer = connection.request('version', ViciMessage.of({ a: 'b' }));
    expect(stream.sent).to.have.length(1);
    stream.say(reply({ daemon: 'charon' }));
    expect((await answer).text('daemon')).to.equal('charon');
    expect(clock.pending).to.equal(0);
  });

  it('vici connection has one command in flight and answers queued ones in order', async () => {
    const answers = ['one', 'two', 'three'].map((name) => connection.request(name));
    expect(sentNames()).to.deep.equal(['one']);
    stream.say(reply({ n: '1' }));
    expect(sentNames()).to.deep.equal(['one', 'two']);
    stream.say(reply({ n: '2' }));
    stream.say(reply({ n: '3' }));
    expect((await Promise.all(answers)).map((message) => message.text('n'))).to.deep.equal(['1', '2', '3']);
  });

  it('vici connection gives events that come between request and reply to the listener', async () => {
    const subscribed = connection.subscribe('ike-updown');
    stream.say(confirm);
    await subscribed;
    const answer = connection.request('stats');
    stream.say(event('ike-updown', 1), reply(), event('ike-updown', 2));
    await answer;
    expect(events).to.deep.equal(['ike-updown 1', 'ike-updown 2']);
  });

  it('vici connection streams the events of a command to its caller, before the reply, others to the listener', async () => {
    const seen: string[] = [];
    const take = (message: ViciMessage, name: string) => seen.push(`${name} ${message.text('n')}`);
    const answer = connection.requestStream('list', ['list-sa', 'list-policy'], take);
    stream.say(confirm);
    stream.say(confirm);
    await turn();
    stream.say(
      event('list-sa', 1),
      event('other', 2),
      event('list-policy', 3),
      event('list-sa', 4),
      reply({ seq: '9' }),
    );
    expect((await answer).text('seq')).to.equal('9');
    expect(seen).to.deep.equal(['list-sa 1', 'list-policy 3', 'list-sa 4']);
    expect(events).to.deep.equal(['other 2']);
    expect(sentNames()).to.deep.equal(['list-sa', 'list-policy', 'list']);
  });

  it('vici connection registers for an event once, however often it is asked', async () => {
    const both = Promise.all([connection.subscribe('log'), connection.subscribe('log')]);
    stream.say(confirm);
    await both;
    await connection.subscribe('log');
    expect(sentNames()).to.deep.equal(['log']);
    const gone = connection.unsubscribe('log');
    stream.say(confirm);
    await gone;
    await connection.unsubscribe('log');
    expect(stream.sent.map(({ type }) => type)).to.deep.equal(['event-register', 'event-unregister']);
  });

  it('vici connection rejects an unknown command and an unknown event with their names, and lives on', async () => {
    const command = connection.request('nobody');
    stream.say({ type: 'command-unknown' });
    expect((await expectRejects('unknown-command', command)).subject).to.equal('nobody');
    const subscription = connection.subscribe('nothing');
    stream.say({ type: 'event-unknown' });
    expect((await expectRejects('unknown-event', subscription)).subject).to.equal('nothing');
    const again = connection.subscribe('nothing');
    stream.say(confirm);
    await again;
  });

  it('vici connection makes an error of a reply that says success = no', async () => {
    const answer = connection.request('rekey');
    stream.say(reply({ success: 'no', errmsg: 'no matching SAs' }));
    const error = await expectRejects('refused', answer);
    expect(error).to.include({ subject: 'rekey', errmsg: 'no matching SAs' });
    expect(connection.isClosed).to.equal(false);
  });

  it('vici connection ends when an answer takes too long, since it could not be told from the next', async () => {
    open({ timeoutMs: 500 });
    const [first, second] = [connection.request('slow'), connection.request('next')];
    clock.advance(499);
    expect(connection.isClosed).to.equal(false);
    clock.advance(1);
    await expectRejects('timeout', first);
    await expectRejects('timeout', second);
    expect([stream.isClosed, ended.length, ended[0]?.code]).to.deep.equal([true, 1, 'timeout']);
  });

  it('vici connection lets a call have its own time, and each streamed event starts it anew', async () => {
    open({ timeoutMs: 500 });
    const answer = connection.requestStream('list', ['list-sa'], () => undefined, undefined, {
      timeoutMs: 1000,
    });
    stream.say(confirm);
    await turn();
    for (let n = 0; n < 5; n++) {
      clock.advance(900);
      stream.say(event('list-sa', n));
    }
    clock.advance(900);
    stream.say(reply());
    await answer;
  });

  it('vici connection forgets a waiting call that is aborted', async () => {
    const abort = new AbortController();
    const first = connection.request('first');
    const second = connection.request('second', undefined, { signal: abort.signal });
    abort.abort(new Error('changed my mind'));
    const error = await expectRejects('aborted', second);
    expect((error.cause as Error).message).to.equal('changed my mind');
    stream.say(reply());
    await first;
    expect(sentNames()).to.deep.equal(['first']);
  });

  it('vici connection discards the answer of an aborted call and then goes on with the next', async () => {
    const abort = new AbortController();
    const first = connection.request('first', undefined, { signal: abort.signal });
    const second = connection.request('second');
    abort.abort();
    await expectRejects('aborted', first);
    expect(sentNames()).to.deep.equal(['first']);
    stream.say(reply({ n: '1' }));
    expect(sentNames()).to.deep.equal(['first', 'second']);
    stream.say(reply({ n: '2' }));
    expect((await second).text('n')).to.equal('2');
  });

  it('vici connection overwrites a secret request once it is answered, or will not be', async () => {
    const ask = (secret: string) =>
      connection.request('load-shared', ViciMessage.of({ data: secret }), { isSecret: true });
    const [first, second] = [ask('s3cret-1'), ask('s3cret-2')];
    const sent = () => stream.written.map((bytes) => Buffer.from(bytes).includes('s3cret'));
    expect(sent()).to.deep.equal([true]);
    stream.say(reply({ success: 'no', errmsg: 'x' }));
    await expectRejects('refused', first);
    expect(sent()).to.deep.equal([false, true]);
    connection.close();
    await expectRejects('closed', second);
    expect(sent()).to.deep.equal([false, false]);
  });

  it('vici connection still ends if the answer of an aborted call never comes', async () => {
    const abort = new AbortController();
    const call = connection.request('first', undefined, { signal: abort.signal, timeoutMs: 100 });
    abort.abort();
    await expectRejects('aborted', call);
    clock.advance(100);
    expect(ended[0]?.code).to.equal('timeout');
  });

  it('vici connection sends nothing for a signal that has fired already', async () => {
    await expectRejects('aborted', connection.request('x', undefined, { signal: AbortSignal.abort() }));
    expect(stream.sent).to.deep.equal([]);
  });

  it('vici connection rejects with what a stream handler threw, discards the rest, and lives on', async () => {
    const fault = new Error('handler');
    let calls = 0;
    const answer = connection.requestStream('list', ['list-sa'], () => {
      calls += 1;
      throw fault;
    });
    stream.say(confirm);
    await turn();
    stream.say(event('list-sa', 1), event('list-sa', 2));
    expect(await answer.catch((error: unknown) => error)).to.equal(fault);
    stream.say(reply());
    const next = connection.request('stats');
    stream.say(reply());
    await next;
    expect(calls).to.equal(1);
  });

  for (const [what, packet] of [
    ['a reply to nothing', reply()],
    ['an unknown command to nothing', { type: 'command-unknown' }],
    ['a confirmation to nothing', confirm],
    ["a client's packet", { type: 'event-register', name: 'x' }],
    ["a client's request", { type: 'command-request', name: 'x', message: new ViciMessage() }],
  ] as readonly [string, ViciPacket][]) {
    it(`vici connection ends on ${what}`, () => {
      stream.say(packet);
      expect([stream.isClosed, ended[0]?.code]).to.deep.equal([true, 'unexpected']);
    });
  }

  it('vici connection ends on a confirmation where a reply is due, and rejects the call', async () => {
    const call = connection.request('stats');
    stream.say(confirm);
    await expectRejects('unexpected', call);
  });

  it('vici connection ends on malformed and on oversized bytes', async () => {
    const call = connection.request('stats');
    stream.sayBytes(Buffer.from('0000000109', 'hex'));
    await expectRejects('malformed', call);
    open();
    const other = connection.request('stats');
    stream.sayBytes(Buffer.from('00100000', 'hex'));
    await expectRejects('too-big', other);
  });

  it('vici connection takes nothing more from a chunk after the packet that ended it', () => {
    stream.say(event('a', 1), reply(), event('a', 2));
    expect(events).to.deep.equal(['a 1']);
  });

  it('vici connection rejects all that is under way when the stream ends, with the cause', async () => {
    const calls = [connection.request('one'), connection.request('two')];
    const cause = new Error('reset');
    stream.end(cause);
    for (const call of calls) expect((await expectRejects('disconnected', call)).cause).to.equal(cause);
    await expectRejects('disconnected', connection.request('three'));
    expect(ended).to.have.length(1);
  });

  it('vici connection says when the stream ended inside a packet', async () => {
    const call = connection.request('one');
    stream.sayBytes(encodePacket(reply({ k: 'v' })).subarray(0, 9));
    stream.end();
    expect((await expectRejects('disconnected', call)).message).to.equal('connection ended inside a packet');
  });

  it('vici connection rejects what is under way when it is closed, and closes once', async () => {
    const call = connection.request('one');
    connection.close();
    connection.close();
    await expectRejects('closed', call);
    await expectRejects('closed', connection.subscribe('x'));
    expect([stream.isClosed, ended.length]).to.deep.equal([true, 1]);
  });

  it('vici connection refuses to queue without end', async () => {
    const calls = Array.from({ length: 1026 }, (_, n) =>
      connection.request(`${n}`).catch((error: ViciError) => error.code),
    );
    expect(await calls.at(-1)).to.equal('too-big');
    connection.close();
    expect(await calls[0]).to.equal('closed');
  });

  it('vici connection refuses to send what does not fit the wire, and lives on', async () => {
    await expectRejects('too-big', connection.request('n'.repeat(256)));
    const call = connection.request('ok');
    stream.say(reply());
    await call;
  });

  it('vici connection overwrites events after use when told so, and the bytes they came in', async () => {
    let kept: Buffer = Buffer.alloc(0);
    open({ wipeEvents: true, onEvent: (_, message) => (kept = message.bytes('key') ?? kept) });
    const call = connection.request('stats');
    const chunk = Buffer.concat([
      encodePacket({ type: 'event', name: 'sa-add', message: ViciMessage.of({ key: 'secret' }) }),
      encodePacket(reply({ n: 'kept' })),
    ]);
    stream.sayBytes(chunk);
    expect(kept.toString('hex')).to.equal('00'.repeat(6));
    expect(chunk.every((byte) => byte === 0)).to.equal(true);
    expect((await call).text('n')).to.equal('kept');
  });
});
