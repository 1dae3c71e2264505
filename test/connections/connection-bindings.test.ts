import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  ConnectionBindings,
  type ConnectionBindingsOptions,
  DEFAULT_BINDING_TIMES,
} from '../../src/connections/connection-bindings.ts';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { ACK, FIN, RST, SYN } from '../../src/connections/tcp-state.ts';
import { addr } from '../support/inner-packets.ts';

const [TCP, UDP, ICMP] = [6, 17, 1];
const key = (sourcePort: number, protocol = TCP) => ({
  ...newConnectionKey(),
  dvipa: addr('203.0.113.10'),
  source: addr('10.1.1.1'),
  protocol,
  sourcePort,
  destinationPort: 80,
});
const [A, B] = [7, 0xffff_fff0];
const { openingMs, openMs, closedMs, refusedMs, datagramsMs, icmpMs } = DEFAULT_BINDING_TIMES;
const bindingsOf = (options: Partial<ConnectionBindingsOptions> = {}) =>
  new ConnectionBindings({ seed: Buffer.alloc(8, 3), ...options });

/** One segment: from the peer of a group, or (`us`) of our own kernel. */
type Step = readonly [who: number | 'us', flags: number];
const OPENED: readonly Step[] = [
  [A, SYN],
  ['us', SYN | ACK],
  [A, ACK],
];

describe('bindings of connections to SA groups', () => {
  it('gives a connection to the group of its first packet, and refuses the other', () => {
    const bindings = bindingsOf();
    expect(bindings.admit(key(1), A, 0, SYN)).to.equal(true);
    expect(bindings.admit(key(1), B, 1, SYN)).to.equal(false);
    expect(bindings.admit(key(2), B, 1, SYN)).to.equal(true);
    expect([1, 2, 3].map((port) => bindings.answer(key(port), 2, ACK))).to.deep.equal([A, B, -1]);
    expect([1, 2, 3].map((port) => bindings.groupOf(key(port), 2))).to.deep.equal([A, B, -1]);
  });

  const LIVES: readonly [what: string, steps: readonly Step[], lifeMs: number][] = [
    ['a SYN that our kernel does not answer', [[A, SYN]], openingMs],
    ['an open connection', OPENED, openMs],
    ['one that only our side has closed', [...OPENED, ['us', FIN | ACK]], openMs],
    ['one that only the peer has closed', [...OPENED, [A, FIN | ACK]], openMs],
    ['one that both have closed', [...OPENED, [A, FIN | ACK], ['us', FIN | ACK], [A, ACK]], closedMs],
    ['one that the peer has reset', [...OPENED, [A, RST]], closedMs],
    ['a reset that our kernel answers, so does not take', [...OPENED, [A, RST], ['us', ACK]], openMs],
    ['one that our kernel has reset', [...OPENED, ['us', RST]], refusedMs],
    [
      'a SYN to where nobody listens',
      [
        [A, SYN],
        ['us', RST | ACK],
      ],
      refusedMs,
    ],
    ['a new connection on the same tuple', [[A, SYN], ['us', RST | ACK], ...OPENED], openMs],
  ];
  for (const [what, steps, lifeMs] of LIVES) {
    it(`keeps ${what} for ${lifeMs} ms, then another group may have it`, () => {
      const bindings = bindingsOf();
      for (const [who, flags] of steps) {
        if (who === 'us') expect(bindings.answer(key(1), 100, flags)).to.equal(A);
        else expect(bindings.admit(key(1), who, 100, flags)).to.equal(true);
      }
      expect(bindings.admit(key(1), B, 99 + lifeMs, SYN)).to.equal(false);
      expect(bindings.groupOf(key(1), 99 + lifeMs)).to.equal(A);
      expect(bindings.groupOf(key(1), 100 + lifeMs)).to.equal(-1);
      expect(bindings.admit(key(1), B, 100 + lifeMs, SYN)).to.equal(true);
      expect(bindings.size).to.equal(1);
    });
  }

  it('keeps datagrams for minutes, ICMP for a moment, in either direction', () => {
    const bindings = bindingsOf();
    for (const [protocol, lifeMs] of [
      [UDP, datagramsMs],
      [ICMP, icmpMs],
    ] as const) {
      bindings.admit(key(1, protocol), A, 0, 0);
      expect(bindings.answer(key(1, protocol), lifeMs - 1, 0)).to.equal(A);
      expect(bindings.admit(key(1, protocol), B, 2 * lifeMs - 2, 0)).to.equal(false);
      expect(bindings.admit(key(1, protocol), B, 2 * lifeMs - 1, 0)).to.equal(true);
    }
  });

  it('ends with its group', () => {
    const bindings = bindingsOf({ capacity: 64, perGroup: 64 });
    for (let port = 0; port < 40; port++) bindings.admit(key(port), port % 2 === 0 ? A : B, 0, SYN);
    bindings.removeGroup(A);
    expect(bindings.size).to.equal(20);
    for (let port = 0; port < 40; port++)
      expect(bindings.groupOf(key(port), 1)).to.equal(port % 2 === 0 ? -1 : B);
  });

  it('keeps an open connection that it is told of, and refreshes it, but takes none from another group', () => {
    const bindings = bindingsOf();
    expect(bindings.keep(key(1), A, 0)).to.equal(true);
    expect(bindings.keep(key(1), A, openMs - 1)).to.equal(true);
    expect(bindings.keep(key(1), B, openMs)).to.equal(false);
    expect(bindings.groupOf(key(1), openMs)).to.equal(A);
  });

  it('is assigned anew when the sender is our own', () => {
    const bindings = bindingsOf();
    bindings.assign(key(1, UDP), A, 0);
    bindings.assign(key(1, UDP), B, 1);
    expect([bindings.groupOf(key(1, UDP), 2), bindings.size]).to.deep.equal([B, 1]);
  });

  it('refuses what it has no room for, and gives up no living one for it', () => {
    const bindings = bindingsOf({ capacity: 8, perGroup: 6 });
    const made = (group: number, from: number) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => bindings.admit(key(from + i), group, 0, SYN)).length;
    expect([made(A, 0), made(B, 100)]).to.deep.equal([6, 2]);
    expect([0, 1, 2, 3, 4, 5].map((port) => bindings.groupOf(key(port), 1))).to.deep.equal(Array(6).fill(A));
    bindings.sweep(openingMs, 16);
    expect([bindings.size, made(B, 200)]).to.deep.equal([0, 6]);
  });

  it('agrees with a plain map, whatever happens', () => {
    const step = fc.record({
      what: fc.constantFrom('in', 'out', 'gone', 'sweep'),
      group: fc.integer({ min: 1, max: 3 }),
      port: fc.integer({ min: 0, max: 11 }),
      protocol: fc.constantFrom(UDP, ICMP),
      pass: fc.integer({ min: 0, max: 40 }),
    });
    const times = { datagramsMs: 100, icmpMs: 50 };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const bindings = bindingsOf({ capacity: 16, perGroup: 5, times });
        const model = new Map<string, { group: number; until: number }>();
        /** Those that are over but not forgotten hold their room: only `sweep`, and who asks for the same, forget them. */
        let now = 0;
        for (const { what, group, port, protocol, pass } of steps) {
          now += pass;
          const life = protocol === UDP ? 100 : 50;
          const name = `${protocol} ${port}`;
          const found = model.get(name);
          const live = found !== undefined && found.until > now ? found : undefined;
          if (what === 'in') {
            if (found !== undefined && live === undefined) model.delete(name);
            const mine = [...model.values()].filter((one) => one.group === group).length;
            const hasRoom = model.size < 16 && mine < 5;
            const expected = live === undefined ? hasRoom : live.group === group;
            expect(bindings.admit(key(port, protocol), group, now, 0)).to.equal(expected);
            if (expected) model.set(name, { group, until: now + life });
          } else if (what === 'out') {
            expect(bindings.answer(key(port, protocol), now, 0)).to.equal(live?.group ?? -1);
            if (live !== undefined) live.until = now + life;
          } else if (what === 'gone') {
            bindings.removeGroup(group);
            for (const [name, one] of model) if (one.group === group) model.delete(name);
          } else {
            bindings.sweep(now, 32);
            for (const [name, one] of model) if (one.until <= now) model.delete(name);
          }
          expect(bindings.size).to.equal(model.size);
        }
      }),
    );
  });
});
