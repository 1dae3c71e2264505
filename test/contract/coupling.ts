import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { ACK_DELAY_MS } from '../../src/coupling/heartbeat.ts';
import type { RouteBodies, RouteRecord, TargetBodies } from '../../src/coupling/records.ts';
import { KEY_BYTES, routeBodies, saId, sampleSa, targetBodies } from '../coupling/samples.ts';
import type { CouplingPair } from '../support/coupling-pair.ts';

/** Something a handler waits for. */
class Gate {
  open: () => void = () => {};
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

function install(number: number): RouteRecord {
  return {
    kind: 'sa-install',
    body: { sa: sampleSa({ id: saId(number) }), credit: { bytes: 1, packets: 1 } },
  };
}

/** A record each way: it, and every one before it, has arrived. */
async function exchange({ route, target, changes }: CouplingPair): Promise<void> {
  const [records, events] = [route.records.length, target.events.length];
  route.session.send('sa-remove', { id: saId(1) });
  target.session.send('windows-end', { livesMs: 0 });
  await changes.until(() => route.records.length > records && target.events.length > events);
}

/** What every wire must do, whichever it is. */
export function describeCoupling(name: string, open: () => Promise<CouplingPair>): void {
  describe(`coupling channel over ${name}`, () => {
    let pair: CouplingPair;

    beforeEach(async () => {
      pair = await open();
    });

    afterEach(async () => {
      await pair.close();
      expect(pair.clock.pending, 'timers left').to.equal(0);
    });

    it('tells both agents the peer, the epoch and the life of the target', async () => {
      await pair.connect();
      const { route, target } = pair;
      expect([route.session.host, route.session.epoch, route.session.incarnation]).to.deep.equal([
        'target1',
        1,
        1n,
      ]);
      expect([target.session.host, target.session.epoch]).to.deep.equal(['router1', 1]);
      expect(target.epochs.seen).to.equal(1);
    });

    it('brings the snapshot first and what was sent since in order', async () => {
      pair.route.state = [install(1), install(2)];
      pair.route.opened = (session) => void session.send('way', routeBodies().way);
      await pair.connect();
      pair.route.session.send('sa-remove', { id: saId(1) });
      pair.route.session.send('credit', routeBodies().credit);
      await pair.changes.until(() => pair.target.events.at(-1)?.kind === 'credit');
      const expected = 'open way snapshot-begin sa-install sa-install snapshot-end sa-remove credit';
      expect(pair.target.log).to.deep.equal(expected.split(' '));
    });

    it('carries every kind of record of the routing host', async () => {
      await pair.connect();
      const bodies = routeBodies();
      for (const kind of Object.keys(bodies) as (keyof RouteBodies)[])
        pair.route.session.send(kind, bodies[kind]);
      await pair.changes.until(() => pair.target.events.at(-1)?.kind === Object.keys(bodies).at(-1));
      expect(pair.target.events.slice(2).map(({ kind }) => kind)).to.deep.equal(Object.keys(bodies));
      const update = pair.target.events.find(({ kind }) => kind === 'sa-update');
      expect(update?.body).to.deep.equal(bodies['sa-update']);
    });

    it('carries every kind of record of a target', async () => {
      await pair.connect();
      const bodies = targetBodies();
      for (const kind of Object.keys(bodies) as (keyof TargetBodies)[])
        pair.target.session.send(kind, bodies[kind]);
      await pair.changes.until(() => pair.route.records.at(-1)?.kind === 'flush');
      expect(pair.route.records).to.deep.equal(
        Object.entries(bodies).map(([kind, body]) => ({ kind, body })),
      );
    });

    it('brings keys as key material', async () => {
      pair.route.state = [install(1)];
      await pair.connect();
      const event = pair.target.events.find(({ kind }) => kind === 'sa-install');
      if (event?.kind !== 'sa-install') throw new Error('no SA');
      expect(event.body.sa.encryption.key.reveal().equals(KEY_BYTES)).to.equal(true);
    });

    it('acknowledges a record when its handler is done, not before', async () => {
      await pair.connect();
      const gate = new Gate();
      pair.target.handle = () => gate.passed;
      const n = pair.route.session.send('sa-remove', { id: saId(1) });
      const acknowledged = pair.route.session.whenAcknowledged(n);
      await pair.changes.until(() => pair.target.events.at(-1)?.kind === 'sa-remove');
      // A record of the target carries what it has handled: not this one.
      pair.target.session.send('windows-end', { livesMs: 0 });
      await pair.changes.until(() => pair.route.records.length === 1);
      expect(pair.route.session.acknowledged).to.equal(n - 1);
      gate.open();
      await nextTurn();
      pair.clock.advance(ACK_DELAY_MS);
      expect(await acknowledged).to.equal(true);
      expect(pair.route.session.acknowledged).to.equal(n);
    });

    it('lets another record take an acknowledgement along', async () => {
      await pair.connect();
      const n = pair.route.session.send('sa-remove', { id: saId(1) });
      await pair.changes.until(() => pair.target.events.at(-1)?.kind === 'sa-remove');
      pair.target.session.send('windows-end', { livesMs: 0 });
      await pair.changes.until(() => pair.route.records.length === 1);
      expect(pair.route.session.acknowledged).to.equal(n);
    });

    it('hands a record over when the one before is handled', async () => {
      await pair.connect();
      const gate = new Gate();
      pair.route.handle = (record) => (record.kind === 'flush' ? gate.passed : undefined);
      pair.target.session.send('flush', targetBodies().flush);
      const n = pair.target.session.send('windows-end', { livesMs: 0 });
      await pair.changes.until(() => pair.route.records.length === 1);
      expect(pair.route.log.at(-1)).to.equal('flush');
      gate.open();
      await pair.changes.until(() => pair.route.records.length === 2);
      pair.clock.advance(ACK_DELAY_MS);
      expect(await pair.target.session.whenAcknowledged(n)).to.equal(true);
      expect(pair.route.log.slice(-2)).to.deep.equal(['flush', 'windows-end']);
    });

    it('acknowledges a thousand records, all but the last few without waiting', async () => {
      await pair.connect();
      let n = 0;
      for (let i = 0; i < 1000; i++)
        n = pair.target.session.send('lifesize-report', targetBodies()['lifesize-report']);
      expect(await pair.target.session.whenAcknowledged(n - 15)).to.equal(true);
      await pair.changes.until(() => pair.route.records.length === 1000);
      pair.clock.advance(ACK_DELAY_MS);
      expect(await pair.target.session.whenAcknowledged(n)).to.equal(true);
      expect(pair.route.records).to.have.lengthOf(1000);
    });

    it('says that a record was not acknowledged when the session ends first', async () => {
      await pair.connect();
      pair.target.handle = () => new Promise(() => {});
      const n = pair.route.session.send('sa-remove', { id: saId(1) });
      const acknowledged = pair.route.session.whenAcknowledged(n);
      await pair.changes.until(() => pair.target.events.at(-1)?.kind === 'sa-remove');
      pair.route.session.close();
      expect(await acknowledged).to.equal(false);
      expect(await pair.route.session.whenAcknowledged(n)).to.equal(false);
      expect(await pair.route.session.whenAcknowledged(n + 1)).to.equal(false);
    });

    it('ends on both sides when one closes, once, and sends nothing any more', async () => {
      await pair.connect();
      pair.route.session.close();
      pair.route.session.close();
      await pair.changes.until(() => pair.target.closes.length === 1);
      expect([pair.route.closes, pair.target.closes]).to.deep.equal([['stopped'], ['peer-closed']]);
      expect(pair.route.session.send('sa-remove', { id: saId(1) })).to.equal(0);
      expect(pair.route.session.sendSnapshot([install(1)])).to.equal(0);
      expect(pair.target.session.isOpen).to.equal(false);
    });

    it('delivers what was sent before the close', async () => {
      await pair.connect();
      pair.route.session.send('sa-remove', { id: saId(1) });
      pair.route.session.close();
      await pair.changes.until(() => pair.target.closes.length === 1);
      expect(pair.target.log.slice(-2)).to.deep.equal(['sa-remove', 'close peer-closed']);
    });

    it('ends when a handler throws, and does not acknowledge the record', async () => {
      await pair.connect();
      const fault = new Error('no room');
      pair.target.handle = () => Promise.reject(fault);
      const n = pair.route.session.send('sa-remove', { id: saId(1) });
      expect(await pair.route.session.whenAcknowledged(n)).to.equal(false);
      await pair.changes.until(() => pair.target.closes.length === 1);
      expect(pair.target.closes).to.deep.equal(['handler-failed']);
      expect(pair.target.causes).to.deep.equal([fault]);
    });

    it('ends on both sides as dead after 1.5 s of silence', async () => {
      await pair.connect();
      pair.clock.advance(1499);
      expect(pair.route.closes).to.deep.equal([]);
      pair.clock.advance(1);
      expect([pair.route.closes, pair.target.closes]).to.deep.equal([['dead'], ['dead']]);
    });

    it('knows when it heard of the peer, also by a heartbeat', async () => {
      await pair.connect();
      await exchange(pair);
      expect([pair.route.session.heardAt, pair.target.session.heardAt]).to.deep.equal([0, 0]);
      pair.clock.advance(500);
      await exchange(pair);
      expect([pair.route.session.heardAt, pair.target.session.heardAt]).to.deep.equal([500, 500]);
    });

    it('does not take its own standstill for the death of the peer', async () => {
      await pair.connect();
      pair.clock.stall(10_000);
      expect([pair.route.closes, pair.target.closes]).to.deep.equal([[], []]);
      pair.clock.advance(500);
      expect([pair.route.closes, pair.target.closes]).to.deep.equal([['dead'], ['dead']]);
    });

    it('stays open on heartbeats alone', async () => {
      await pair.connect();
      for (let i = 0; i < 10; i++) {
        pair.clock.advance(500);
        await exchange(pair); // behind them
      }
      expect([pair.route.closes, pair.target.closes]).to.deep.equal([[], []]);
    });

    it('removes at the end of a snapshot what the last session brought and this one did not', async () => {
      const { dvipa, 'policy-install': policy } = routeBodies();
      pair.route.state = [
        { kind: 'dvipa', body: dvipa },
        { kind: 'policy-install', body: policy },
        install(1),
        install(2),
      ];
      await pair.connect();
      pair.route.session.send('sa-install', {
        sa: sampleSa({ id: saId(3) }),
        credit: { bytes: 0, packets: 0 },
      });
      pair.route.state = [install(2)];
      pair.route.session.close();
      pair.target.events.length = 0;
      await pair.reconnect();
      expect(pair.target.events.slice(-8).map(({ kind, body }) => [kind, nameOf(body)])).to.deep.equal([
        ['sa-install', saId(3)],
        ['snapshot-begin', undefined],
        ['sa-install', saId(2)],
        ['policy-remove', policy.policy.key],
        ['sa-remove', saId(1)],
        ['sa-remove', saId(3)],
        ['dvipa-remove', dvipa.address],
        ['snapshot-end', undefined],
      ]);
    });

    it('raises and stores the epoch before it answers a target that has seen a higher one', async () => {
      pair.target.epochs.note(7);
      await pair.connect();
      expect(pair.route.storedEpochs).to.deep.equal([8]);
      expect([pair.route.session.epoch, pair.target.session.epoch, pair.target.epochs.seen]).to.deep.equal([
        8, 8, 8,
      ]);
      expect(pair.route.session.epochSeen).to.equal(7);
    });

    it('raises the epoch for a target that has seen this very epoch from another life of the routing host', async () => {
      pair.target.epochs.note(1);
      await pair.connect();
      expect(pair.route.storedEpochs).to.deep.equal([2]);
      expect(pair.target.session.epoch).to.equal(2);
    });

    it('keeps the epoch for a target that comes back', async () => {
      await pair.connect();
      pair.route.session.close();
      await pair.reconnect();
      expect(pair.route.storedEpochs).to.deep.equal([]);
      expect(pair.target.session.epoch).to.equal(1);
    });
  });
}

function nameOf(body: object): unknown {
  if ('sa' in body && typeof body.sa === 'object' && body.sa !== null && 'id' in body.sa) return body.sa.id;
  if ('id' in body) return body.id;
  if ('key' in body) return body.key;
  return 'address' in body ? body.address : undefined;
}
