import { expect } from 'chai';
import * as fc from 'fast-check';
import { ClearConnections } from '../../src/connections/clear-connections.ts';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { ACK, FIN, RST, SYN } from '../../src/connections/tcp-state.ts';
import { addr } from '../support/inner-packets.ts';

const [TCP, UDP, ICMP] = [6, 17, 1];
const key = (sourcePort: number, protocol = TCP) => ({
  ...newConnectionKey(),
  dvipa: addr('203.0.113.10'),
  source: addr('192.0.2.200'),
  protocol,
  sourcePort,
  destinationPort: 80,
});
const tableOf = (capacity = 64, clearCapacity?: number) =>
  new ClearConnections({
    seed: Buffer.alloc(8, 3),
    capacity,
    ...(clearCapacity === undefined ? {} : { clearCapacity }),
  });
/** A connection that is open in clear. */
const opened = (port = 1, now = 0) => {
  const table = tableOf();
  table.admit(key(port), SYN, now);
  table.answers(key(port), SYN | ACK, now);
  return table;
};

describe('connections in clear', () => {
  it('begin with a SYN, and nothing else begins one', () => {
    for (const flags of [0, ACK, SYN | ACK, RST, FIN, FIN | ACK, SYN | RST]) {
      const table = tableOf();
      expect(table.admit(key(1), flags, 0), `flags ${flags}`).to.equal(false);
      expect(table.answers(key(1), SYN | ACK, 0), `flags ${flags}`).to.equal(false);
    }
    expect(tableOf().admit(key(1), SYN, 0)).to.equal(true);
  });

  it('are open when our kernel has answered with SYN and ACK', () => {
    const table = tableOf();
    expect(table.admit(key(1), SYN, 0)).to.equal(true);
    expect(table.admit(key(1), ACK, 1), 'before the answer').to.equal(false);
    expect(table.answers(key(1), SYN | ACK, 2)).to.equal(true);
    expect(table.admit(key(1), ACK, 3)).to.equal(true);
    expect(table.answers(key(1), ACK, 4)).to.equal(true);
    expect(table.answers(key(2), ACK, 4), 'another port').to.equal(false);
  });

  it('are none where our kernel has the connection already, and answers the SYN otherwise', () => {
    const table = tableOf();
    table.admit(key(1), SYN, 0);
    expect(table.answers(key(1), ACK, 1), 'challenge (RFC 5961 section 4)').to.equal(false);
    expect(table.answers(key(1), FIN | ACK, 1)).to.equal(false);
    expect(table.admit(key(1), ACK, 2)).to.equal(false);
    expect(table.admit(key(1), RST, 3), 'a RST does not make it one').to.equal(true);
    expect(table.answers(key(1), ACK, 4)).to.equal(false);
    expect(table.admit(key(1), SYN, 5)).to.equal(true);
    expect(table.answers(key(1), ACK, 6)).to.equal(false);
  });

  it('may be refused by our kernel with a RST', () => {
    const table = tableOf();
    table.admit(key(1), SYN, 0);
    expect(table.answers(key(1), RST | ACK, 1)).to.equal(true);
  });

  it('are none where the connection goes through an SA, before or after', () => {
    for (const protocol of [TCP, UDP]) {
      const table = tableOf();
      table.protect(key(1, protocol), SYN, true, 0);
      expect(table.admit(key(1, protocol), SYN, 1)).to.equal(false);
      expect(table.answers(key(1, protocol), SYN | ACK, 1)).to.equal(false);
      expect(table.has(key(1, protocol), 1)).to.equal(false);
    }
    const taken = opened();
    taken.protect(key(1), ACK, true, 10);
    expect([taken.admit(key(1), ACK, 11), taken.answers(key(1), ACK, 11)]).to.deep.equal([false, false]);
    expect(taken.clearSize).to.equal(0);
  });

  it('stay out of a connection of an SA for a quarter of an hour without a segment, and a minute after its end', () => {
    const open = tableOf();
    open.protect(key(1), SYN, true, 0);
    open.protect(key(1), SYN | ACK, false, 1);
    expect(open.admit(key(1), SYN, 15 * 60_000)).to.equal(false);
    expect(open.admit(key(1), SYN, 15 * 60_000 + 1)).to.equal(true);
    const closed = tableOf();
    closed.protect(key(1), SYN, true, 0);
    closed.protect(key(1), RST, false, 1);
    expect(closed.admit(key(1), SYN, 60_000)).to.equal(false);
    expect(closed.admit(key(1), SYN, 60_001)).to.equal(true);
  });

  const LIVES: readonly [what: string, protocol: number, answered: boolean, lifeMs: number][] = [
    ['a SYN without an answer', TCP, false, 5_000],
    ['an open connection', TCP, true, 15 * 60_000],
    ['a datagram without an answer', UDP, false, 5_000],
    ['a datagram with an answer', UDP, true, 120_000],
    ['an echo', ICMP, true, 10_000],
  ];
  for (const [what, protocol, answered, lifeMs] of LIVES) {
    it(`are forgotten in time: ${what}`, () => {
      const table = tableOf();
      table.admit(key(1, protocol), SYN, 0);
      if (answered) table.answers(key(1, protocol), SYN | ACK, 0);
      expect(table.has(key(1, protocol), lifeMs - 1)).to.equal(true);
      expect(table.has(key(1, protocol), lifeMs)).to.equal(false);
    });
  }

  it('are few: when there is no room a new one is refused, and SAs have theirs', () => {
    const table = tableOf(16, 4);
    const admitted = Array.from({ length: 10 }, (_, port) => table.admit(key(port), SYN, 0));
    expect(admitted.filter(Boolean)).to.have.lengthOf(4);
    for (let port = 100; port < 112; port++) table.protect(key(port), SYN, true, 0);
    expect(table.admit(key(111), SYN, 0)).to.equal(false);
    table.sweep(5_000, 1000);
    expect(table.clearSize).to.equal(0);
    expect(table.admit(key(50), SYN, 5_001)).to.equal(true);
  });

  it('never carry what our kernel has not begun in clear itself, whatever strangers send', () => {
    const flags = fc.constantFrom(0, SYN, ACK, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN);
    fc.assert(
      fc.property(fc.array(flags, { maxLength: 30 }), fc.integer({ min: 1, max: 3000 }), (sent, step) => {
        // Our kernel has had the connection for long: to whatever comes it says ACK, and it has data to send.
        const table = tableOf();
        for (const [n, one] of sent.entries()) {
          table.admit(key(1), one, n * step);
          expect(table.answers(key(1), ACK, n * step)).to.equal(false);
        }
      }),
    );
  });
});
