import { expect } from 'chai';
import * as fc from 'fast-check';
import { type FragmentKey, FragmentTracker } from '../../src/connections/fragment-tracker.ts';
import { fromHex } from '../support/vectors.ts';
import { words } from '../support/packet-vectors.ts';

const SEED = fromHex('0001020304050607');
const newTracker = (options: Partial<ConstructorParameters<typeof FragmentTracker>[0]> = {}) =>
  new FragmentTracker({ seed: SEED, ...options });

function key(fields: Partial<FragmentKey> & { from?: string; to?: string } = {}): FragmentKey {
  const { from = '10.1.1.1', to = '203.0.113.10', ...rest } = fields;
  return {
    group: 1,
    source: words(from),
    sourceAt: 0,
    destination: words(to),
    destinationAt: 0,
    protocol: 17,
    identification: 7,
    ...rest,
  };
}

describe('fragment-tracker', () => {
  it('gives later fragments the value of the first one, for two seconds', () => {
    const tracker = newTracker();
    expect(tracker.lookup(key(), 0)).to.equal(-1);
    expect(tracker.learn(key(), 3, 0)).to.equal(3);
    expect(tracker.lookup(key(), 1_999)).to.equal(3);
    expect(tracker.lookup(key(), 2_000)).to.equal(-1);
    expect(tracker.learn(key(), 4, 2_000)).to.equal(4);
    expect(tracker.lookup(key(), 2_000)).to.equal(4);
    expect(tracker.size).to.equal(1);
  });

  it('keeps datagrams apart by every part of the key', () => {
    const tracker = newTracker();
    tracker.learn(key(), 3, 0);
    for (const other of [
      { group: 2 },
      { from: '10.1.1.2' },
      { to: '203.0.113.11' },
      { from: '2001:db8::1', to: '2001:db8::2' },
      { protocol: 1 },
      { identification: 8 },
      { identification: 0x1_0007 },
    ])
      expect(tracker.lookup(key(other), 0), JSON.stringify(other)).to.equal(-1);
  });

  it('reads addresses where the columns of a vector have them', () => {
    const tracker = newTracker();
    tracker.learn(key(), 3, 0);
    const column = Uint32Array.from([...words('::1'), ...words('10.1.1.1'), ...words('203.0.113.10')]);
    const place = { source: column, sourceAt: 4, destination: column, destinationAt: 8 };
    expect(tracker.lookup(key(place), 0)).to.equal(3);
  });

  it('of what is authenticated the newest first fragment counts, and begins a time of its own', () => {
    const tracker = newTracker();
    expect(tracker.assign(key(), 3, 0)).to.equal(true);
    expect(tracker.assign(key(), 4, 1_500)).to.equal(true);
    expect(tracker.lookup(key(), 3_499)).to.equal(4);
    expect(tracker.lookup(key(), 3_500)).to.equal(-1);
    expect(tracker.size).to.equal(1);
  });

  it('a second first fragment neither changes the value nor prolongs it, and is told to follow', () => {
    const tracker = newTracker();
    tracker.learn(key(), 3, 0);
    expect(tracker.learn(key(), 5, 1_500)).to.equal(3);
    expect(tracker.lookup(key(), 1_999)).to.equal(3);
    expect(tracker.lookup(key(), 2_000)).to.equal(-1);
  });

  it('a group at its quota loses its own oldest entry, nobody else does', () => {
    const tracker = newTracker({ capacity: 16, perGroup: 4 });
    tracker.learn(key({ group: 9 }), 9, 0);
    for (let identification = 0; identification < 100; identification++)
      expect(tracker.learn(key({ identification }), 3, 0)).to.equal(3);
    expect(tracker.size).to.equal(5);
    expect(tracker.lookup(key({ group: 9 }), 0)).to.equal(9);
    const left = Array.from({ length: 100 }, (_, identification) => identification).filter(
      (identification) => tracker.lookup(key({ identification }), 0) === 3,
    );
    expect(left).to.deep.equal([96, 97, 98, 99]);
  });

  it('when all is full, a group takes a place from one that has more, else from itself, else gets none', () => {
    const tracker = newTracker({ capacity: 8, perGroup: 5 });
    for (const group of [1, 2, 3]) tracker.learn(key({ group }), group, 0);
    for (let identification = 0; identification < 5; identification++)
      tracker.learn(key({ group: 4, identification }), 4, 0);
    expect(tracker.learn(key({ group: 5 }), 5, 0)).to.equal(5);
    expect(tracker.lookup(key({ group: 4, identification: 0 }), 0)).to.equal(-1);
    for (const group of [1, 2, 3, 5]) expect(tracker.lookup(key({ group }), 0)).to.equal(group);
    // Group 4 has four, the others one: a new one of group 4 costs group 4.
    expect(tracker.learn(key({ group: 4, identification: 50 }), 4, 0)).to.equal(4);
    for (const group of [1, 2, 3, 5]) expect(tracker.lookup(key({ group }), 0)).to.equal(group);
    const even = newTracker({ capacity: 2, perGroup: 1 });
    even.learn(key({ group: 1 }), 1, 0);
    even.learn(key({ group: 2 }), 2, 0);
    expect(even.learn(key({ group: 3 }), 3, 0)).to.equal(-1);
    expect(even.lookup(key({ group: 1 }), 0)).to.equal(1);
  });

  it('forgets a group or a target at once', () => {
    const tracker = newTracker();
    for (let group = 1; group <= 4; group++) {
      tracker.learn(key({ group }), group % 2, 0);
      tracker.learn(key({ group, identification: 8 }), 5, 0);
    }
    tracker.removeWhere((group) => group === 2);
    expect(tracker.lookup(key({ group: 2 }), 0)).to.equal(-1);
    tracker.removeWhere((_, value) => value === 5);
    expect(tracker.size).to.equal(3);
    expect(tracker.lookup(key({ group: 3 }), 0)).to.equal(1);
  });

  it('remembers a slot for outbound fragments, with one group that may have all', () => {
    const tracker = newTracker({ capacity: 64, perGroup: 64 });
    for (let identification = 0; identification < 64; identification++)
      tracker.learn(key({ group: 0, identification }), 100_000 + identification, 0);
    for (let identification = 0; identification < 64; identification++)
      expect(tracker.lookup(key({ group: 0, identification }), 0)).to.equal(100_000 + identification);
  });

  it('behaves like a list of everything learnt, with the same rules said plainly', () => {
    interface Entry {
      group: number;
      identification: number;
      value: number;
      at: number;
    }
    const step = fc.record({
      group: fc.nat(3),
      identification: fc.nat(6),
      value: fc.nat(3),
      after: fc.nat(400),
      isFirst: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const tracker = newTracker({ capacity: 8, perGroup: 4, ageMs: 1_000 });
        let model: Entry[] = [];
        let now = 0;
        for (const { group, identification, value, after, isFirst } of steps) {
          now += after;
          const k = key({ group, identification });
          model = model.filter(({ at }) => at + 1_000 > now);
          const sizeOf = (g: number) => model.filter((entry) => entry.group === g).length;
          const known = model.find(
            (entry) => entry.group === group && entry.identification === identification,
          );
          if (!isFirst || known !== undefined) {
            const found = isFirst ? tracker.learn(k, value, now) : tracker.lookup(k, now);
            expect(found).to.equal(known?.value ?? -1);
            continue;
          }
          const own = model.find((entry) => entry.group === group);
          let victim = sizeOf(group) >= 4 ? own : undefined;
          const groups = new Set(model.map((entry) => entry.group)).size;
          const hasItsPart = sizeOf(group) * groups >= 8;
          const larger = model.find((entry) => !hasItsPart && sizeOf(entry.group) > sizeOf(group) + 1);
          if (victim === undefined && model.length === 8) victim = larger ?? own;
          const hasRoom = victim !== undefined || model.length < 8;
          model = model.filter((entry) => entry !== victim);
          if (hasRoom) model.push({ group, identification, value, at: now });
          expect(tracker.learn(k, value, now)).to.equal(hasRoom ? value : -1);
          expect(tracker.size).to.equal(model.length);
        }
      }),
      { seed: 8200, numRuns: 400 },
    );
  });

  it('a group that has few entries never loses one to a group that has more', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(200)), { maxLength: 300 }), (attack) => {
        const tracker = newTracker({ capacity: 32, perGroup: 16 });
        const quiet = key({ group: 99 });
        tracker.learn(quiet, 7, 0);
        for (const [group, identification] of attack) tracker.learn(key({ group, identification }), 1, 0);
        expect(tracker.lookup(quiet, 0)).to.equal(7);
      }),
      { seed: 5722, numRuns: 200 },
    );
  });
});
