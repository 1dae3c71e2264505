import { expect } from 'chai';
import { Rekeyer } from '../../src/agents/routing/rekeyer.ts';
import type { AnySa } from '../../src/agents/routing/routing-sas.ts';
import { LifesizeOwner } from '../../src/ipsec/lifesize-owner.ts';
import { wipeKeys } from '../../src/ipsec/sa.ts';
import { REKEY_RETRY_MS } from '../../src/ipsec/rekey-need.ts';
import type { Log } from '../../src/observe/log.ts';
import { type Requester, ViciError, ViciMessage } from '../../src/vici/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { testSa } from '../support/test-sas.ts';

const silent: Log = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silent,
};

/** charon's two sockets in one, with the SAs that it knows. */
class Daemon implements Requester {
  readonly asked: string[] = [];
  readonly installed = new Map<number, number>();
  isDown = false;
  lists = 0;

  request(command: string, message?: ViciMessage): Promise<ViciMessage> {
    if (this.isDown) return Promise.reject(new ViciError('disconnected', 'down'));
    this.asked.push(`${command} ${message?.text('child-id') ?? message?.text('sa') ?? ''}`);
    return Promise.resolve(ViciMessage.of({ matches: 1 }));
  }

  requestStream(
    _command: string,
    _events: readonly string[],
    onEvent: (message: ViciMessage, event: string) => void,
  ): Promise<ViciMessage> {
    if (this.isDown) return Promise.reject(new ViciError('disconnected', 'down'));
    this.lists++;
    const children = [...this.installed].map(([spi, id]) => [
      `web-${id}-${spi}`,
      ViciMessage.of({
        name: 'web',
        uniqueid: id,
        reqid: 1,
        state: 'INSTALLED',
        mode: 'TUNNEL',
        'spi-in': spi.toString(16).padStart(8, '0'),
      }),
    ]);
    const ike = ViciMessage.of({
      uniqueid: 1,
      version: 2,
      state: 'ESTABLISHED',
      'local-host': '192.0.2.10',
      'remote-host': '192.0.2.101',
      'child-sas': ViciMessage.of(Object.fromEntries(children)),
    });
    onEvent(ViciMessage.of({ dvipa: ike }), 'list-sa');
    return Promise.resolve(new ViciMessage());
  }
}

function make() {
  const warned: unknown[] = [];
  const log: Log = { ...silent, warn: (_message, fields) => void warned.push(fields?.event) };
  const clock = new ManualClock();
  const daemon = new Daemon();
  const rekeyer = new Rekeyer({ charon: daemon, plugin: daemon, log, clock });
  const add = (spi: number, id: number): AnySa => {
    daemon.installed.set(spi, id);
    const sa = testSa({ spi });
    const lifesize = new LifesizeOwner({ lifetime: sa.lifetime, percentage: 10, now: 0 });
    return { sa, pluginId: String(id), lifesize, isRekeying: false, rekeys: new Map() } as unknown as AnySa;
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { clock, daemon, rekeyer, add, settle, warned };
}

describe('the rekeyer', () => {
  it('asks as soon as charon is there for what it could not ask for, once', async () => {
    const { daemon, rekeyer, add, settle } = make();
    const [wanted, gone] = [add(1, 1), add(2, 2)];
    daemon.isDown = true;
    rekeyer.request(wanted, 'bytes');
    rekeyer.request(gone, 'bytes');
    await settle();
    expect(daemon.asked).to.deep.equal([]);
    daemon.isDown = false;
    wipeKeys(gone.sa);
    for (let times = 0; times < 2; times++) {
      rekeyer.charonConnected();
      await settle();
      expect(daemon.asked).to.deep.equal(['rekey 1']);
    }
    expect(wanted.isRekeying).to.equal(true);
  });

  it('lists once for all SAs that ask at the same time', async () => {
    const { daemon, rekeyer, add, settle } = make();
    const entries = Array.from({ length: 50 }, (_, i) => add(0x1001 + i, i + 1));
    for (const entry of entries) rekeyer.request(entry, 'windows-lost');
    await settle();
    expect(daemon.asked).to.have.length(50);
    expect(daemon.lists).to.be.at.most(2);
    expect(rekeyer.requested).to.equal(50);
  });

  it('asks once for a CHILD_SA whose two directions need it in one turn, and counts one need', async () => {
    const { daemon, rekeyer, add, settle } = make();
    const [into, also] = [add(0x1001, 7), add(0x1002, 7)];
    rekeyer.request(into, 'bytes');
    rekeyer.request(also, 'bytes');
    await settle();
    rekeyer.request(also, 'packets');
    await settle();
    expect(daemon.asked).to.deep.equal(['rekey 7']);
    expect([into.isRekeying, also.isRekeying]).to.deep.equal([true, true]);
    expect(rekeyer.book.entries()).to.deep.equal([
      ['bytes', { needs: 1, finished: 0, repeated: 0, refused: 0 }],
    ]);
  });

  it('tells of a rekey that did not finish, and of one that charon refused', async () => {
    const { clock, daemon, rekeyer, add, settle, warned } = make();
    const entry = add(0x1001, 7);
    rekeyer.request(entry, 'bytes');
    await settle();
    clock.advance(REKEY_RETRY_MS);
    rekeyer.request(entry, 'bytes');
    await settle();
    daemon.isDown = true;
    clock.advance(REKEY_RETRY_MS);
    rekeyer.request(entry, 'bytes');
    await settle();
    expect(daemon.asked).to.deep.equal(['rekey 7', 'rekey 7']);
    expect(rekeyer.book.entries()).to.deep.equal([
      ['bytes', { needs: 1, finished: 0, repeated: 2, refused: 1 }],
    ]);
    expect(entry.rekeys.get('bytes')).to.deep.equal({ at: 0, isTaken: true, attempts: 3 });
    expect(warned).to.deep.equal(['rekey-repeated', 'rekey-repeated', 'rekey-refused']);
  });

  it('does not take the time in which charon could not be asked for the time of a rekey', async () => {
    const { clock, daemon, rekeyer, add, settle } = make();
    const entry = add(0x1001, 7);
    daemon.isDown = true;
    rekeyer.request(entry, 'bytes');
    await settle();
    daemon.isDown = false;
    clock.advance(REKEY_RETRY_MS);
    rekeyer.request(entry, 'bytes');
    await settle();
    expect(entry.rekeys.get('bytes')).to.deep.equal({ at: REKEY_RETRY_MS, isTaken: true, attempts: 2 });
  });

  it('repeats what lasts, with back-off, until the SA is gone', async () => {
    const { clock, daemon, rekeyer, add, settle } = make();
    const entry = add(0x1001, 7);
    daemon.isDown = true;
    rekeyer.request(entry, 'replay-undecided');
    await settle();
    expect(entry.isRekeying).to.equal(false);
    daemon.isDown = false;
    rekeyer.request(entry, 'replay-undecided'); // the target was lost once more: no second row of requests
    clock.advance(REKEY_RETRY_MS);
    await settle();
    expect(daemon.asked).to.deep.equal(['rekey 7']);
    expect(entry.isRekeying).to.equal(true);
    clock.advance(REKEY_RETRY_MS * 2);
    await settle();
    expect(daemon.asked).to.deep.equal(['rekey 7', 'rekey 7']);
    wipeKeys(entry.sa);
    clock.advance(1_000_000);
    await settle();
    expect(daemon.asked).to.have.length(2);
    expect(clock.pending).to.equal(0);
  });

  it('leaves repeats to the machines that have their own, and says so when charon was not asked', async () => {
    const { clock, daemon, rekeyer, add, settle } = make();
    const entry = add(0x1001, 7);
    daemon.installed.clear();
    rekeyer.request(entry, 'bytes');
    await settle();
    expect(entry.isRekeying).to.equal(false);
    expect(clock.pending).to.equal(0);
  });

  it('tells charon of an expire again until it was told', async () => {
    const { clock, daemon, rekeyer, add, settle } = make();
    const entry = add(0x1001, 7);
    daemon.isDown = true;
    rekeyer.expire(entry);
    await settle();
    daemon.isDown = false;
    clock.advance(1000);
    await settle();
    clock.advance(10_000);
    await settle();
    expect(daemon.asked).to.deep.equal(['expire 7']);
  });

  it('refreshes names one list at a time, and not after close', async () => {
    const { clock, daemon, rekeyer, add, settle } = make();
    const entry = add(0x1001, 7);
    rekeyer.refreshNames();
    rekeyer.refreshNames();
    clock.advance(200);
    rekeyer.refreshNames(); // while the list is under way
    clock.advance(1000);
    await settle();
    expect(daemon.lists).to.equal(1);
    expect(rekeyer.namesOf(entry)).to.deep.equal({
      ike: 'dvipa',
      child: 'web',
      peer: '192.0.2.101',
    });
    clock.advance(200);
    await settle();
    rekeyer.refreshNames();
    rekeyer.close();
    clock.advance(10_000);
    await settle();
    expect(clock.pending).to.equal(0);
  });
});
