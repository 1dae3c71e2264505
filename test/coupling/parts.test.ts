import { expect } from 'chai';
import { AckLedger } from '../../src/coupling/ack-ledger.ts';
import { Backoff } from '../../src/coupling/backoff.ts';
import { EpochGate, EpochMemory } from '../../src/coupling/epoch-gate.ts';
import { Inbox } from '../../src/coupling/inbox.ts';
import { BACKLOG_MAX_BYTES } from '../../src/coupling/limits.ts';

describe('epoch gate', () => {
  function gate(epoch: number): { gate: EpochGate; stored: number[]; raised: number[] } {
    const stored: number[] = [];
    const raised: number[] = [];
    const made = new EpochGate(epoch, async (next) => {
      await Promise.resolve();
      stored.push(next);
    });
    made.onRaised((next) => raised.push(next));
    return { gate: made, stored, raised };
  }

  it('keeps its epoch for targets that have seen a lower one', async () => {
    const { gate: made, stored } = gate(5);
    expect(await made.admit('target1', 4)).to.equal(5);
    expect(await made.admit('target2', 0)).to.equal(5);
    expect(stored).to.deep.equal([]);
  });

  it('raises once for several targets that report the same', async () => {
    const { gate: made, stored, raised } = gate(1);
    const admitted = ['target1', 'target2', 'target3'].map((host) => made.admit(host, 7));
    expect(await Promise.all(admitted)).to.deep.equal([8, 8, 8]);
    expect([stored, raised]).to.deep.equal([[8], [8]]);
  });

  it('ends above the highest of several reports, whatever their order', async () => {
    const { gate: made, stored } = gate(1);
    const admitted = [3, 9, 5].map((seen, i) => made.admit(`target${i}`, seen));
    await Promise.all(admitted);
    expect(made.epoch).to.equal(10);
    expect(stored).to.deep.equal([4, 10]);
  });

  it('treats its own epoch as foreign until it has told it to that host', async () => {
    const { gate: made } = gate(3);
    expect(await made.admit('target1', 3)).to.equal(4);
    expect(await made.admit('target1', 4)).to.equal(4);
    expect(await made.admit('target2', 4)).to.equal(5);
  });

  it('stays as it was if the store fails, and raises at the next attempt', async () => {
    let works = false;
    const made = new EpochGate(1, () => (works ? Promise.resolve() : Promise.reject(new Error('no store'))));
    const failure = await made.admit('target1', 7).catch((error: unknown) => error);
    expect(failure).to.have.property('message', 'no store');
    expect(made.epoch).to.equal(1);
    works = true;
    expect(await made.admit('target1', 7)).to.equal(8);
  });

  it('lets a host raise it once: after that it knows what this life told it', async () => {
    const { gate: made, stored } = gate(1);
    expect(await made.admit('liar', 7)).to.equal(8);
    expect(await made.admit('target1', 8)).to.equal(9);
    for (const seen of [9, 10, 60_000]) {
      const refusal = await made.admit('liar', seen).catch((error: unknown) => error);
      expect(refusal).to.have.property('code', 'coupling-epoch');
    }
    expect(await made.admit('liar', 8)).to.equal(9);
    expect(await made.admit('liar', 0)).to.equal(9);
    expect(stored).to.deep.equal([8, 9]);
  });

  it('refuses a leap of more than 65536', async () => {
    const { gate: made, stored } = gate(1);
    const failure = await made.admit('target1', 70_000).catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'coupling-epoch');
    expect(stored).to.deep.equal([]);
  });

  it('epoch memory never goes back', () => {
    const memory = new EpochMemory(3);
    memory.note(7);
    memory.note(5);
    expect(memory.seen).to.equal(7);
  });
});

describe('ack ledger', () => {
  it('resolves who waits for an acknowledged number or a lower one', async () => {
    const ledger = new AckLedger();
    for (let i = 0; i < 3; i++) ledger.add(10, true);
    const waits = [1, 2, 3].map((n) => ledger.whenAcknowledged(n));
    expect(ledger.acknowledge(2)).to.equal(true);
    expect([ledger.pendingBytes, ledger.pendingRecords]).to.deep.equal([10, 1]);
    ledger.close();
    expect(await Promise.all(waits)).to.deep.equal([true, true, false]);
  });

  it('does not count heartbeats as pending', () => {
    const ledger = new AckLedger();
    ledger.add(10, false);
    ledger.add(20, true);
    expect([ledger.sent, ledger.pendingBytes]).to.deep.equal([2, 20]);
  });

  it('stays small over a hundred thousand records', () => {
    const ledger = new AckLedger();
    for (let n = 1; n <= 100_000; n++) {
      ledger.add(1, true);
      if (n > 10) expect(ledger.acknowledge(n - 10)).to.equal(true);
    }
    expect([ledger.pendingRecords, ledger.pendingBytes]).to.deep.equal([10, 10]);
  });
});

describe('inbox', () => {
  function inbox(handle: (record: string) => void | Promise<void>) {
    const handled: number[] = [];
    const discarded: string[] = [];
    const failures: unknown[] = [];
    const made = new Inbox<string>({
      handle,
      handled: (n) => handled.push(n),
      failed: (cause) => failures.push(cause),
      discard: (record) => discarded.push(record),
    });
    return { made, handled, discarded, failures };
  }

  it('handles synchronously while its handlers do', () => {
    const { made, handled } = inbox(() => {});
    made.add(1, 1, 'a');
    made.add(2, 1, undefined);
    expect(handled).to.deep.equal([1, 2]);
  });

  it('discards what waits when it is closed, so that its keys can be wiped', async () => {
    const { made, handled, discarded } = inbox(() => new Promise(() => {}));
    for (const [i, record] of ['a', 'b', 'c'].entries()) made.add(i + 1, 1, record);
    made.close();
    made.close();
    expect([handled, discarded]).to.deep.equal([[], ['b', 'c']]);
    expect(made.add(4, 1, 'd')).to.equal(false);
    expect(discarded).to.deep.equal(['b', 'c', 'd']);
  });

  it('says no when its bytes are used up, and discards that record', () => {
    const { made, discarded } = inbox(() => new Promise(() => {}));
    expect(made.add(1, BACKLOG_MAX_BYTES, 'a')).to.equal(true);
    expect(made.add(2, 1, 'b')).to.equal(false);
    expect(discarded).to.deep.equal(['b']);
  });

  it('stops at a handler that throws', () => {
    const fault = new Error('no');
    const { made, handled, failures } = inbox(() => {
      throw fault;
    });
    made.add(1, 1, 'a');
    expect([handled, failures]).to.deep.equal([[], [fault]]);
  });
});

describe('backoff', () => {
  const options = { firstMs: 50, maxMs: 1000, healthyMs: 2000 };

  it('doubles up to its maximum and starts again after a healthy session', () => {
    const backoff = new Backoff({ ...options, random: () => 0.999_999 });
    const waits = [0, 0, 0, 0, 0, 0, 1999, 2000, 0].map((lived) => Math.round(backoff.next(lived)));
    expect(waits).to.deep.equal([50, 100, 200, 400, 800, 1000, 1000, 50, 100]);
  });

  it('waits at least half of it', () => {
    expect(new Backoff({ ...options, random: () => 0 }).next(0)).to.equal(25);
  });
});
