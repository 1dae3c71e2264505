import { expect } from 'chai';
import { encodeFrame, type Envelope } from '../../src/coupling/envelope.ts';
import type { CloseReason, CouplingViolation } from '../../src/coupling/errors.ts';
import { BACKLOG_MAX_BYTES } from '../../src/coupling/limits.ts';
import { ACK_DELAY_MS } from '../../src/coupling/heartbeat.ts';
import { COUPLING_VERSION } from '../../src/coupling/records.ts';
import { type MemoryPair, makePair } from '../support/coupling-pair.ts';
import { KEY_BYTES, routeBodies, saId, sampleSa, targetBodies } from './samples.ts';

const targetHello = {
  version: COUPLING_VERSION,
  role: 'target',
  host: 'target1',
  incarnation: 1n << 40n,
  epochSeen: 0,
};
const routeHello = { version: COUPLING_VERSION, role: 'route', host: 'router1', epoch: 5 };

function frame(changes: Partial<Envelope> & { k: string }): Buffer {
  return encodeFrame({ n: 1, a: 0, e: 0, b: {}, ...changes });
}

async function memoryPair(): Promise<MemoryPair> {
  return (await makePair({ real: false })) as MemoryPair;
}

describe('routing end', () => {
  let pair: MemoryPair;

  beforeEach(async () => {
    pair = await memoryPair();
  });

  afterEach(async () => {
    await pair.close();
    expect(pair.clock.pending).to.equal(0);
  });

  /** A target that sends these bytes as its first; ours is cut off. */
  function refuses(what: string, reason: CouplingViolation, bytes: () => Buffer) {
    it(`counts ${reason} for ${what}`, () => {
      pair.join();
      pair.routeEnd?.receive(bytes());
      expect(pair.route.drops.get(reason)).to.equal(1);
      expect(pair.routeStream.isClosed).to.equal(true);
      expect(pair.route.sessions).to.deep.equal([]);
    });
  }

  refuses('a record before hello', 'coupling-order', () => frame({ k: 'flush', b: targetBodies().flush }));
  refuses('a heartbeat before hello', 'coupling-order', () => frame({ k: 'heartbeat' }));
  refuses('a hello that is not number 1', 'coupling-order', () =>
    frame({ k: 'hello', n: 2, b: targetHello }),
  );
  refuses('an acknowledgement of nothing', 'coupling-order', () =>
    frame({ k: 'hello', a: 1, b: targetHello }),
  );
  refuses('two hellos at once', 'coupling-order', () =>
    Buffer.concat([frame({ k: 'hello', b: targetHello }), frame({ k: 'hello', n: 2, b: targetHello })]),
  );
  refuses('a record before our hello', 'coupling-order', () =>
    Buffer.concat([frame({ k: 'hello', b: targetHello }), frame({ k: 'heartbeat', n: 2 })]),
  );
  refuses('another version, whatever else it holds', 'coupling-version', () =>
    frame({ k: 'hello', b: { version: COUPLING_VERSION + 1, role: 'target', news: true } }),
  );
  refuses('the hello of a routing host', 'coupling-role', () => frame({ k: 'hello', b: routeHello }));
  refuses('the hello of another host than the certificate names', 'coupling-role', () =>
    frame({ k: 'hello', b: { ...targetHello, host: 'target2' } }),
  );
  refuses('a hello with an unknown field', 'coupling-malformed', () =>
    frame({ k: 'hello', b: { ...targetHello, more: 1 } }),
  );
  refuses('plain text', 'coupling-oversized', () => Buffer.from('GET / HTTP/1.1\r\n'));
  refuses('a hello of more than 4 KiB', 'coupling-oversized', () =>
    frame({ k: 'hello', b: { ...targetHello, host: 'x'.repeat(4096) } }),
  );

  /** The same in an open session. */
  function ends(what: string, reason: CouplingViolation, changes: Partial<Envelope> & { k: string }) {
    it(`counts ${reason} for ${what} in an open session`, async () => {
      await pair.connect();
      pair.clock.advance(ACK_DELAY_MS);
      await pair.route.session.whenAcknowledged(3); // hello, snapshot-begin, snapshot-end
      const n = pair.targetStream.written.length + (changes.n ?? 1);
      pair.routeEnd?.receive(frame({ a: 3, e: 1, ...changes, n }));
      expect(pair.route.drops.get(reason)).to.equal(1);
      expect(pair.route.closes).to.deep.equal([reason]);
      expect(pair.route.records).to.deep.equal([]);
    });
  }

  // `n` counts from the last record of the target.
  ends('a number left out', 'coupling-order', { k: 'heartbeat', n: 2 });
  ends('a number again', 'coupling-order', { k: 'heartbeat', n: 0 });
  ends('a second hello', 'coupling-order', { k: 'hello', b: targetHello });
  ends('an acknowledgement of the future', 'coupling-order', { k: 'heartbeat', a: 4 });
  ends('an acknowledgement taken back', 'coupling-order', { k: 'heartbeat', a: 2 });
  ends('an old epoch', 'coupling-epoch', { k: 'heartbeat', e: 0 });
  ends('an epoch of the future', 'coupling-epoch', { k: 'heartbeat', e: 2 });
  ends('an unknown kind', 'coupling-malformed', { k: 'shell' });
  ends("a record of the routing host's", 'coupling-malformed', { k: 'sa-remove', b: { id: saId(1) } });
  ends('a heartbeat with a body', 'coupling-malformed', { k: 'heartbeat', b: { x: 1 } });

  it('ends a session that never says hello', () => {
    pair.join();
    pair.routeStream.isFrozen = true;
    pair.targetStream.isFrozen = true;
    pair.clock.advance(5000);
    expect([pair.routeStream.isClosed, pair.targetStream.isClosed]).to.deep.equal([true, true]);
    expect([pair.route.closes, pair.target.closes]).to.deep.equal([[], []]);
  });

  it('refuses a target that leaps to an epoch beyond reason', async () => {
    pair.target.epochs.note(0xffff_ffff);
    pair.join();
    await pair.changes.until(() => pair.routeStream.isClosed);
    expect(pair.route.drops.get('coupling-epoch')).to.equal(1);
    expect(pair.route.storedEpochs).to.deep.equal([]);
  });

  it('does not answer if the raised epoch cannot be stored', async () => {
    pair.target.epochs.note(7);
    pair.route.epochs.admit = () => Promise.reject(new Error('store is gone'));
    pair.join();
    await pair.changes.until(() => pair.routeStream.isClosed);
    expect(pair.routeStream.written).to.deep.equal([]);
    expect(pair.target.sessions).to.deep.equal([]);
  });

  it('ends the session as overflow when the target does not take what it is sent', async () => {
    await pair.connect();
    pair.routeStream.isFrozen = true;
    const bitmap = new Uint8Array(4096);
    const { id: _id, ...rest } = sampleSa();
    let sent = 0;
    while (pair.route.session.isOpen) {
      const sa = { ...rest, id: saId(sent) };
      pair.route.session.send('sa-install', {
        sa,
        window: { top: 1n, bitmap },
        credit: { bytes: 0, packets: 0 },
      });
      sent += 4096;
    }
    expect(pair.route.closes).to.deep.equal(['overflow']);
    expect(sent).to.be.within(BACKLOG_MAX_BYTES / 2, BACKLOG_MAX_BYTES);
  });

  it('sends all of a snapshot or, if one record is not allowed, nothing of it', async () => {
    await pair.connect();
    const wrong = { kind: 'credit', body: { ...routeBodies().credit, bytes: -1 } } as const;
    const right = { kind: 'sa-remove', body: { id: saId(1) } } as const;
    const before = pair.routeStream.written.length;
    expect(() => pair.route.session.sendSnapshot([right, wrong])).to.throw(TypeError);
    expect(pair.routeStream.written.length).to.equal(before);
    expect(pair.route.session.isOpen).to.equal(true);
  });

  it('wipes every frame after it was written, keys included', async () => {
    pair.route.state = [{ kind: 'sa-install', body: { sa: sampleSa(), credit: { bytes: 1, packets: 1 } } }];
    await pair.connect();
    const { written } = pair.routeStream;
    expect(written.length).to.be.greaterThan(3);
    expect(written.every((bytes) => bytes.every((byte) => byte === 0))).to.equal(true);
  });

  it('wipes the bytes that it was given, whether it took them or not', async () => {
    pair.join();
    const secret = frame({ k: 'hello', n: 2, b: { key: Buffer.from(KEY_BYTES) } });
    const chunk = Buffer.concat([secret, secret]);
    pair.routeEnd?.receive(chunk);
    expect(pair.routeStream.isClosed).to.equal(true);
    const late = Buffer.from(secret);
    pair.routeEnd?.receive(late);
    expect(Buffer.concat([chunk, late]).every((byte) => byte === 0)).to.equal(true);
  });

  it("leaves the sender's own keys alone", async () => {
    const sa = sampleSa();
    pair.route.state = [{ kind: 'sa-install', body: { sa, credit: { bytes: 1, packets: 1 } } }];
    await pair.connect();
    expect(sa.encryption.key.reveal().equals(KEY_BYTES)).to.equal(true);
  });
});

describe('target end', () => {
  let pair: MemoryPair;

  beforeEach(async () => {
    pair = await memoryPair();
  });

  afterEach(async () => {
    await pair.close();
    expect(pair.clock.pending).to.equal(0);
  });

  it('says hello first, in epoch 0, and nothing more until it is answered', () => {
    pair.join();
    pair.clock.advance(2000);
    expect(pair.targetStream.written).to.have.lengthOf(1);
  });

  function refuses(what: string, reason: CouplingViolation, changes: Partial<Envelope>) {
    it(`counts ${reason} for ${what}`, () => {
      pair.target.epochs.note(5);
      pair.join();
      pair.targetEnd?.receive(frame({ k: 'hello', a: 1, e: 5, b: routeHello, ...changes }));
      expect(pair.target.drops.get(reason)).to.equal(1);
      expect(pair.target.sessions).to.deep.equal([]);
    });
  }

  refuses('an old epoch', 'coupling-epoch', { e: 4, b: { ...routeHello, epoch: 4 } });
  refuses('a hello that says another epoch than its envelope', 'coupling-epoch', { e: 6 });
  refuses('epoch 0', 'coupling-malformed', { e: 0, b: { ...routeHello, epoch: 0 } });
  refuses('the hello of a target', 'coupling-role', { b: { ...targetHello, host: 'router1' } });
  refuses('another routing host', 'coupling-role', { b: { ...routeHello, host: 'router2' } });

  it('accepts the epoch that it has seen already', () => {
    pair.target.epochs.note(5);
    pair.join();
    pair.targetEnd?.receive(frame({ k: 'hello', a: 1, e: 5, b: routeHello }));
    expect(pair.target.session.epoch).to.equal(5);
  });

  it('obeys no record of its session once it has seen a higher epoch elsewhere', async () => {
    await pair.connect();
    pair.target.epochs.note(2);
    pair.route.session.send('sa-remove', { id: saId(1) });
    await pair.changes.until(() => pair.target.closes.length === 1);
    expect(pair.target.closes).to.deep.equal(['coupling-epoch'] satisfies CloseReason[]);
    expect(pair.target.log).not.to.include('sa-remove');
  });

  it('removes nothing when a session breaks off inside a snapshot', async () => {
    pair.route.state = [
      { kind: 'sa-install', body: { sa: sampleSa({ id: saId(1) }), credit: { bytes: 1, packets: 1 } } },
    ];
    await pair.connect();
    pair.targetEnd?.receive(frame({ k: 'snapshot-begin', n: 5, a: 1, e: 1 }));
    pair.routeEnd?.close();
    await pair.changes.until(() => pair.target.closes.length === 1);
    pair.route.state = [];
    pair.join();
    pair.targetEnd?.receive(frame({ k: 'hello', a: 1, e: 1, b: { ...routeHello, epoch: 1 } }));
    pair.targetEnd?.receive(frame({ k: 'snapshot-end', n: 2, a: 1, e: 1 }));
    expect(pair.target.log).not.to.include('sa-remove');
  });
});
