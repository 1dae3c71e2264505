import { expect } from 'chai';
import * as fc from 'fast-check';
import type { SaId } from '../../src/ipsec/sa.ts';
import { type PluginStatePort, PluginStore } from '../../src/store/plugin-store.ts';
import {
  encodeDvipaState,
  encodeMarks,
  encodeSaState,
  parseDvipaState,
  parseSaState,
} from '../../src/store/state-codec.ts';

const lifesizeOf = (users: number) => ({
  percentage: 15.63,
  rekeyMs: 1234,
  closedCharged: { bytes: 2 ** 53 - 1, packets: 1 },
  closedReported: { bytes: 5, packets: 6 },
  accounts: Array.from({ length: users }, (_, i) => ({
    tag: i,
    incarnation: BigInt(i) << 32n,
    credit: { bytes: i * 1e12, packets: i },
  })),
});

const parseMarks = (bytes: Buffer) => parseSaState(bytes)?.marks;

const SA = '00c0ffee00c0ffee:1' as SaId;

function portWith(state: Buffer, put: () => Promise<void> = async () => undefined): PluginStatePort {
  return {
    list: async () => ({ sas: new Map([[SA, state]]), dvipas: new Map([['203.0.113.10', state]]) }),
    putSa: put,
    putDvipa: put,
  };
}

describe('plugin store', () => {
  it('plugin store leaves out a state that it cannot read, and says of what', async () => {
    const doubtful: string[] = [];
    const store = new PluginStore(portWith(Buffer.from('S\u0001 something else')), (of) => doubtful.push(of));
    const { sas, dvipas } = await store.load();
    expect([sas.size, dvipas.size]).to.deep.equal([0, 0]);
    expect(doubtful).to.deep.equal([SA, '203.0.113.10']);
  });

  it('plugin store rejects if the plugin did not store, and names the cause', async () => {
    const cause = new Error('connection lost');
    const store = new PluginStore(portWith(Buffer.alloc(0), () => Promise.reject(cause)));
    const error = await store
      .putSa(SA, { nextSequence: 1n, nextSenderId: 1 })
      .catch((reason: unknown) => reason);
    expect(error).to.include({ name: 'StoreError', code: 'failed', cause });
  });

  it('plugin store takes the same marks again after a failed put, but none below them', async () => {
    let isUp = false;
    const store = new PluginStore(
      portWith(Buffer.alloc(0), async () => {
        if (!isUp) throw new Error('down');
      }),
    );
    const marks = { nextSequence: 100n, nextSenderId: 1 };
    await store.putSa(SA, marks).catch(() => undefined);
    isUp = true;
    await store.putSa(SA, marks);
    const error = await store.putSa(SA, { ...marks, nextSequence: 99n }).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'regression' });
  });
});

describe('what a store remembers', () => {
  it('plugin store remembers no marks of an SA that was deleted', async () => {
    const store = new PluginStore(portWith(Buffer.alloc(0)));
    await store.putSa(SA, { nextSequence: 100n, nextSenderId: 5 });
    store.forgetSa(SA);
    await store.putSa(SA, { nextSequence: 1n, nextSenderId: 1 }); // no regression: nothing is remembered
  });
});

describe('store state codec', () => {
  it('store state codec writes marks big endian, with kind, version and check sum', () => {
    expect(
      encodeMarks({ nextSequence: 0x0102030405060708n, nextSenderId: 0x0a0b }).toString('hex', 0, 14),
    ).to.equal('5301010203040506070800000a0b');
    expect(encodeDvipaState({ epoch: 0xfffffffe }).toString('hex', 0, 6)).to.equal('4401fffffffe');
  });

  it('store state codec gives back what was encoded', () => {
    fc.assert(
      fc.property(
        fc.bigInt(1n, 2n ** 64n - 1n),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (nextSequence, n) => {
          expect(parseMarks(encodeMarks({ nextSequence, nextSenderId: n }))).to.deep.equal({
            nextSequence,
            nextSenderId: n,
          });
          expect(parseDvipaState(encodeDvipaState({ epoch: n }))).to.deep.equal({ epoch: n });
        },
      ),
    );
  });

  it('store state codec keeps a DVIPA with drained targets, and finds every change of a byte of it doubtful', () => {
    const drained = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(16, '0'));
    expect(encodeDvipaState({ epoch: 7, drained }).length)
      .to.equal(266)
      .and.to.be.at.most(1024);
    expect(parseDvipaState(encodeDvipaState({ epoch: 7, drained }))).to.deep.equal({ epoch: 7, drained });
    expect(encodeDvipaState({ epoch: 7, drained: [] }), 'as before').to.deep.equal(
      encodeDvipaState({ epoch: 7 }),
    );
    const good = encodeDvipaState({ epoch: 7, drained: drained.slice(0, 2) });
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(good.readUInt8(at) ^ 0x01, at);
      expect(parseDvipaState(bad), `byte ${at}`).to.equal(undefined);
      expect(parseDvipaState(good.subarray(0, at)), `first ${at}`).to.equal(undefined);
    }
    expect(parseDvipaState(Buffer.concat([good, Buffer.alloc(8)]))).to.equal(undefined);
    for (const bad of [['x'], Array.from({ length: 33 }, () => '0'.repeat(16))])
      expect(() => encodeDvipaState({ epoch: 1, drained: bad })).to.throw(RangeError);
  });

  it('store state codec keeps the lifesize of 33 users within what the plugin takes', () => {
    const state = encodeSaState({ marks: { nextSequence: 1n, nextSenderId: 1 }, lifesize: lifesizeOf(33) });
    expect(state.length).to.equal(981).and.to.be.at.most(1024);
    expect(parseSaState(state)?.lifesize).to.deep.equal(lifesizeOf(33));
    expect(parseSaState(encodeSaState({ lifesize: lifesizeOf(0) }))).to.deep.equal({
      marks: undefined,
      lifesize: lifesizeOf(0),
    });
    expect(() => encodeSaState({ lifesize: lifesizeOf(34) })).to.throw(RangeError);
    const much = { ...lifesizeOf(1), closedCharged: { bytes: 2 ** 53, packets: 0 } };
    expect(() => encodeSaState({ lifesize: much })).to.throw(RangeError);
  });

  it('store state codec finds every change of a bit of lifesize, every truncation and every extra byte doubtful', () => {
    const good = encodeSaState({ lifesize: lifesizeOf(2) });
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(good.readUInt8(at) ^ 0x01, at);
      expect(parseSaState(bad), `byte ${at}`).to.equal(undefined);
      expect(parseSaState(good.subarray(0, at)), `first ${at}`).to.equal(undefined);
    }
    expect(parseSaState(Buffer.concat([good, Buffer.alloc(1)]))).to.equal(undefined);
  });

  it('store state codec finds every change of one byte, every truncation and every extra byte doubtful', () => {
    const good = encodeMarks({ nextSequence: 4096n, nextSenderId: 17 });
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(good.readUInt8(at) ^ 0x01, at);
      expect(parseMarks(bad), `byte ${at}`).to.equal(undefined);
      expect(parseMarks(good.subarray(0, at)), `first ${at}`).to.equal(undefined);
    }
    expect(parseMarks(Buffer.concat([good, Buffer.alloc(1)]))).to.equal(undefined);
    expect(parseDvipaState(good)).to.equal(undefined);
    expect(parseMarks(encodeDvipaState({ epoch: 1 }))).to.equal(undefined);
  });
});
