import { expect } from 'chai';
import { pluginStatePort } from '../../src/agents/plugin-sa.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { SaId } from '../../src/ipsec/sa.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { PluginStore } from '../../src/store/plugin-store.ts';
import type { CouplingStore } from '../../src/store/store.ts';
import { connect, PluginSession } from '../../src/vici/index.ts';
import { FakePlugin, PLUGIN_INSTANCE, saSection } from '../support/fake-plugin.ts';

const SA_1 = `${PLUGIN_INSTANCE}:1` as SaId;
const SA_2 = `${PLUGIN_INSTANCE}:2` as SaId;
const DVIPA = '203.0.113.10';

const LIFESIZE = {
  percentage: 12.5,
  rekeyMs: 500,
  closedCharged: { bytes: 1000, packets: 10 },
  closedReported: { bytes: 900, packets: 9 },
  accounts: [{ tag: 0xdeadbeef, incarnation: 2n ** 63n, credit: { bytes: 2 ** 53 - 1, packets: 7 } }],
};

/** A back end under test. `reopen` gives what an agent finds after `kill -9`. */
interface BackEnd {
  store: CouplingStore;
  reopen(): Promise<CouplingStore>;
  close(): Promise<void>;
}

const backEnds: Record<string, () => Promise<BackEnd>> = {
  async 'memory store'() {
    const store = new MemoryStore();
    return { store, reopen: async () => store, close: async () => undefined };
  },
  async 'plugin store'() {
    const plugin = await new FakePlugin().start();
    plugin.sas.set('1', saSection('1')).set('2', saSection('2', { spi: 'c0000002', direction: 'out' }));
    const sessions: PluginSession[] = [];
    const open = async () => {
      const session = await openPluginSession(plugin.uri);
      sessions.push(session);
      return new PluginStore(pluginStatePort(session));
    };
    return {
      store: await open(),
      async reopen() {
        sessions.at(-1)?.close();
        return open();
      },
      async close() {
        for (const session of sessions) session.close();
        await plugin.charon.destroy();
      },
    };
  },
};

function openPluginSession(uri: string): Promise<PluginSession> {
  return new Promise((resolve) => {
    const session = new PluginSession(
      { clock: systemClock, random: Math.random, open: (signal) => connect(uri, signal) },
      { onSnapshot: () => resolve(session), onChange: () => undefined },
    );
    session.start();
  });
}

for (const [name, create] of Object.entries(backEnds)) {
  describe(`${name} (contract of CouplingStore)`, () => {
    let backEnd: BackEnd;
    beforeEach(async () => (backEnd = await create()));
    afterEach(() => backEnd.close());

    it(`${name} keeps the epoch of a DVIPA and its drained targets, each put apart, over a kill`, async () => {
      const drained = ['00112233445566ff'];
      await backEnd.store.putEpoch(DVIPA, 7);
      await backEnd.store.putDrained(DVIPA, drained);
      const next = await backEnd.reopen();
      const { dvipas } = await next.load();
      const state = dvipas.get(DVIPA);
      expect(state).to.deep.equal({ epoch: 7, drained });
      next.restoredDvipa(DVIPA, { epoch: 7, drained });
      await next.putEpoch(DVIPA, 8);
      expect((await (await backEnd.reopen()).load()).dvipas.get(DVIPA)).to.deep.equal({ epoch: 8, drained });
    });

    it(`${name} is empty at first`, async () => {
      const { sas, dvipas } = await backEnd.store.load();
      expect([sas.size, dvipas.size]).to.deep.equal([0, 0]);
    });

    it(`${name} gives back the last marks of each SA and the state of each DVIPA after a kill`, async () => {
      const top = { nextSequence: 2n ** 64n - 1n, nextSenderId: 65_000 };
      await backEnd.store.putSa(SA_1, { nextSequence: 1n, nextSenderId: 1 });
      await backEnd.store.putSa(SA_2, { nextSequence: 4096n, nextSenderId: 16 });
      await backEnd.store.putSa(SA_1, top);
      await backEnd.store.putEpoch(DVIPA, 7);
      const { sas, dvipas } = await (await backEnd.reopen()).load();
      expect(sas).to.deep.equal(
        new Map([
          [SA_1, top],
          [SA_2, { nextSequence: 4096n, nextSenderId: 16 }],
        ]),
      );
      expect(dvipas).to.deep.equal(new Map([[DVIPA, { epoch: 7 }]]));
    });

    it(`${name} keeps marks and lifesize of an SA apart: neither put touches the other, over a kill`, async () => {
      const marks = { nextSequence: 4096n, nextSenderId: 16 };
      await backEnd.store.putLifesize(SA_1, LIFESIZE);
      await backEnd.store.putSa(SA_1, marks);
      const first = await backEnd.reopen();
      const { sas, lifesizes } = await first.load();
      expect([sas.get(SA_1), lifesizes.get(SA_1)]).to.deep.equal([marks, LIFESIZE]);
      const more = { ...LIFESIZE, closedCharged: { bytes: 2000, packets: 20 } };
      await first.putLifesize(SA_1, more);
      const then = await (await backEnd.reopen()).load();
      expect([then.sas.get(SA_1), then.lifesizes.get(SA_1)]).to.deep.equal([marks, more]);
    });

    it(`${name} leaves marks alone that were listed and not loaded, when lifesize is put`, async () => {
      const marks = { nextSequence: 4096n, nextSenderId: 16 };
      await backEnd.store.putSa(SA_1, marks);
      const next = await backEnd.reopen();
      next.restored(SA_1, { marks });
      await next.putLifesize(SA_1, LIFESIZE);
      expect((await next.load()).sas.get(SA_1)).to.deep.equal(marks);
    });

    it(`${name} refuses lifesize that goes back, across a kill too`, async () => {
      await backEnd.store.putLifesize(SA_1, LIFESIZE);
      const less = { ...LIFESIZE, accounts: [] };
      await expectStoreError(backEnd.store.putLifesize(SA_1, less), 'regression');
      const reopened = await backEnd.reopen();
      await reopened.load();
      await expectStoreError(reopened.putLifesize(SA_1, less), 'regression');
    });

    it(`${name} keeps the order of puts that are under way together`, async () => {
      const puts = [1, 2, 3, 4, 5].map((n) =>
        backEnd.store.putSa(SA_1, { nextSequence: BigInt(n), nextSenderId: n }),
      );
      await Promise.all(puts);
      const { sas } = await (await backEnd.reopen()).load();
      expect(sas.get(SA_1)).to.deep.equal({ nextSequence: 5n, nextSenderId: 5 });
    });

    it(`${name} takes the same marks again (a repeated put)`, async () => {
      const marks = { nextSequence: 10n, nextSenderId: 3 };
      await backEnd.store.putSa(SA_1, marks);
      await backEnd.store.putSa(SA_1, marks);
      expect((await backEnd.store.load()).sas.get(SA_1)).to.deep.equal(marks);
    });

    for (const [what, marks] of [
      ['sequence number', { nextSequence: 9n, nextSenderId: 9 }],
      ['sender id', { nextSequence: 99n, nextSenderId: 2 }],
    ] as const) {
      it(`${name} refuses marks whose ${what} goes back, and keeps the old ones`, async () => {
        await backEnd.store.putSa(SA_1, { nextSequence: 10n, nextSenderId: 3 });
        await expectStoreError(backEnd.store.putSa(SA_1, marks), 'regression');
        expect((await backEnd.store.load()).sas.get(SA_1)).to.deep.equal({
          nextSequence: 10n,
          nextSenderId: 3,
        });
      });
    }

    it(`${name} refuses marks that go back across a kill`, async () => {
      await backEnd.store.putSa(SA_1, { nextSequence: 10n, nextSenderId: 3 });
      const reopened = await backEnd.reopen();
      await reopened.load();
      await expectStoreError(reopened.putSa(SA_1, { nextSequence: 9n, nextSenderId: 3 }), 'regression');
    });

    it(`${name} refuses an epoch that goes back`, async () => {
      await backEnd.store.putEpoch(DVIPA, 2);
      await expectStoreError(backEnd.store.putEpoch(DVIPA, 1), 'regression');
      expect((await backEnd.store.load()).dvipas.get(DVIPA)).to.deep.equal({ epoch: 2 });
    });

    it(`${name} throws RangeError for what fits no field`, async () => {
      const wrong = [
        backEnd.store.putSa(SA_1, { nextSequence: 2n ** 64n, nextSenderId: 1 }),
        backEnd.store.putSa(SA_1, { nextSequence: -1n, nextSenderId: 1 }),
        backEnd.store.putSa(SA_1, { nextSequence: 1n, nextSenderId: 1.5 }),
        backEnd.store.putEpoch(DVIPA, 2 ** 32),
      ];
      for (const put of wrong)
        expect(await put.catch((error: unknown) => error)).to.be.instanceOf(RangeError);
    });
  });
}

async function expectStoreError(work: Promise<unknown>, code: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.include({ name: 'StoreError', code });
}
