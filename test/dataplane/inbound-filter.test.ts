import { expect } from 'chai';
import * as fc from 'fast-check';
import { networkOf } from '../../src/agents/inbound-filter.ts';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import { type FilterRule, InboundFilter, UNSEEN_PORT } from '../../src/dataplane/inbound-filter.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { FRAGMENT } from '../../src/ipsec/inner-columns.ts';
import { copyAddress } from '../../src/packet/address.ts';
import { addr } from '../support/inner-packets.ts';

/** A packet as a filter sees it. */
interface Seen {
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly port: number;
  readonly isClear: boolean;
}

const EVERY = { fromPort: 0, toPort: 65_535, protocol: 0 };
const [TCP, UDP, ICMP, ESP] = [6, 17, 1, 50];

function permits(filter: InboundFilter, seen: Partial<Seen>): boolean {
  const { protocol = TCP, source = '10.1.1.1', sourcePort = 40_000, port = 80, isClear = false } = seen;
  return filter.permits(protocol, addr(source), 0, sourcePort, port, isClear);
}

function vectorWith(seen: Seen, fragment: number = FRAGMENT.WHOLE): PacketVector {
  const vector = new PacketVector(1);
  vector.protocol[0] = seen.protocol;
  vector.sourcePort[0] = seen.sourcePort;
  vector.destinationPort[0] = seen.port;
  vector.fragment[0] = fragment;
  copyAddress(addr(seen.source), 0, vector.innerSource, 0);
  return vector;
}

describe('inbound-filter', () => {
  const [office, site] = ['10.1.0.0/16', '2001:db8:1::/48'].map((network) => ({
    source: networkOf(network),
  }));

  it('permits everything from an SA without rules, and nothing in clear', () => {
    const filter = new InboundFilter([]);
    expect([permits(filter, { port: 22 }), permits(filter, { port: 22, isClear: true })]).to.deep.equal([
      true,
      false,
    ]);
  });

  it('goes by the first rule that matches, and denies when none does', () => {
    const filter = new InboundFilter([
      { ...EVERY, ...office, action: 'deny', protocol: TCP, fromPort: 22, toPort: 22 },
      { ...EVERY, ...office, action: 'permit', protocol: TCP, fromPort: 1, toPort: 1023 },
    ]);
    const packets = [
      { source: '10.1.9.9', port: 22 },
      { source: '10.1.9.9', port: 23 },
      { source: '10.1.9.9', port: 1024 },
      { protocol: UDP, source: '10.1.9.9', port: 23 },
      { source: '10.2.0.1', port: 23 },
    ];
    for (const isClear of [false, true]) {
      const answers = packets.map((packet) => permits(filter, { ...packet, isClear }));
      expect(answers).to.deep.equal([false, true, false, false, false]);
    }
  });

  it('lets require-ipsec pass through an SA only, and decides for what it matches', () => {
    const filter = new InboundFilter([
      { ...EVERY, action: 'require-ipsec', protocol: TCP, fromPort: 443, toPort: 443 },
      { ...EVERY, action: 'permit' },
    ]);
    expect(permits(filter, { port: 443 })).to.equal(true);
    expect(permits(filter, { port: 443, isClear: true }), 'the permit behind it does not count').to.equal(
      false,
    );
    expect(permits(filter, { port: 80, isClear: true })).to.equal(true);
  });

  it('matches ports of the source where a rule names some', () => {
    const filter = new InboundFilter([
      { ...EVERY, action: 'permit', protocol: UDP, sourcePorts: { from: 123, to: 124 } },
    ]);
    const answers = [122, 123, 124, 125].map((sourcePort) => permits(filter, { protocol: UDP, sourcePort }));
    expect(answers).to.deep.equal([false, true, true, false]);
  });

  it('matches sources above 128.0.0.0, where bit 31 is set', () => {
    const filter = new InboundFilter([{ ...EVERY, action: 'permit', source: networkOf('203.0.113.0/24') }]);
    const answers = ['203.0.113.77', '203.0.114.77'].map((source) => permits(filter, { source }));
    expect(answers).to.deep.equal([true, false]);
  });

  it('lets a rule for some ports match no packet of a protocol that has none', () => {
    for (const narrow of [{ toPort: 4000 }, { sourcePorts: { from: 0, to: 4000 } }]) {
      const filter = new InboundFilter([{ ...EVERY, action: 'permit', ...narrow }]);
      expect(permits(filter, { protocol: ICMP, sourcePort: 0, port: 0x0800 }), 'ICMP echo').to.equal(false);
      expect(permits(filter, { protocol: ESP, sourcePort: 0, port: 0 }), 'ESP').to.equal(false);
      expect(permits(filter, { protocol: UDP, sourcePort: 53, port: 53 })).to.equal(true);
    }
  });

  it('takes an IPv6 network by all its bits, and nothing of the other family', () => {
    const filter = new InboundFilter([{ ...EVERY, ...site, action: 'permit' }]);
    const answers = ['2001:db8:1:2::3', '2001:db8:2::3', '10.1.1.1'].map((source) =>
      permits(filter, { source }),
    );
    expect(answers).to.deep.equal([true, false, false]);
    const everywhere = new InboundFilter([{ ...EVERY, source: networkOf('0.0.0.0/0'), action: 'permit' }]);
    expect(permits(everywhere, {})).to.equal(true);
    expect(permits(everywhere, { source: '2001:db8::1' })).to.equal(false);
  });

  const rule = fc.record({
    action: fc.constantFrom('permit', 'deny', 'require-ipsec'),
    protocol: fc.constantFrom(0, TCP, UDP, ICMP),
    source: fc.constantFrom(undefined, '10.0.0.0/8', '10.1.0.0/16', '192.0.2.0/24'),
    ports: fc.constantFrom([0, 65_535], [80, 80], [0, 1023]),
    sourcePorts: fc.constantFrom<[number, number][]>([0, 65_535], [1024, 65_535]),
  });
  const packet: fc.Arbitrary<Seen> = fc.record({
    protocol: fc.constantFrom(TCP, UDP, ICMP),
    source: fc.constantFrom('10.1.1.1', '10.2.2.2', '192.0.2.7', '198.51.100.1'),
    sourcePort: fc.constantFrom(0, 80, 40_000),
    port: fc.constantFrom(0, 80, 443, 8080),
    isClear: fc.boolean(),
  });
  type Rule = typeof rule extends fc.Arbitrary<infer Value> ? Value : never;

  const compiled = (rules: readonly Rule[]): FilterRule[] =>
    rules.map(({ action, protocol, source, ports: [fromPort = 0, toPort = 0], sourcePorts }) => ({
      action,
      protocol,
      fromPort,
      toPort,
      source: networkOf(source),
      sourcePorts: sourcePorts[0] === 0 ? undefined : { from: sourcePorts[0], to: sourcePorts[1] },
    }));

  /** Written down once more, from the configuration's text rather than from masks. */
  function matches({ protocol, source, ports, sourcePorts }: Rule, seen: Seen): boolean {
    const within = ([from = 0, to = 0]: readonly number[], port: number) => {
      if (from === 0 && to === 65_535) return true;
      return seen.protocol !== ICMP && from <= port && port <= to;
    };
    const starts = (source ?? '').replace(/(\.0)*\/\d+$/, '');
    return (
      (protocol === 0 || protocol === seen.protocol) &&
      `${seen.source}.`.startsWith(starts === '' ? '' : `${starts}.`) &&
      within(ports, seen.port) &&
      within(sourcePorts, seen.sourcePort)
    );
  }

  it('agrees with the words of its rules, for any rules and packet, and counts the rule that decided', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), packet, (rules, seen) => {
        const filter = new InboundFilter(compiled(rules));
        const at = rules.findIndex((one) => matches(one, seen));
        const action = rules[at]?.action ?? (rules.length === 0 ? 'require-ipsec' : 'deny');
        const isRight = action === 'permit' || (action === 'require-ipsec' && !seen.isClear);
        expect(permits(filter, seen)).to.equal(isRight);
        const vector = vectorWith(seen);
        const verdict = seen.isClear ? filter.clearVerdict(vector, 0) : filter.verdict(vector, 0);
        const reason = seen.isClear ? 'clear' : 'filter';
        expect(DROP_REASONS[verdict]).to.equal(isRight ? 'none' : reason);
        const counts = [...rules, undefined].map((_, number) => filter.countOf(number));
        const one = seen.isClear ? { ipsec: 0, clear: 1 } : { ipsec: 1, clear: 0 };
        const none = { ipsec: 0, clear: 0 };
        const decided = at < 0 ? rules.length : at;
        expect(counts).to.deep.equal(counts.map((_, number) => (number === decided ? one : none)));
      }),
    );
  });

  it('permits a later fragment only if its datagram would pass whatever its ports are', () => {
    const ports = [0, 1, 79, 80, 81, 443, 1023, 1024, 8080, 40_000, 65_535];
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), packet, (rules, seen) => {
        const filter = new InboundFilter(compiled(rules));
        const later = { ...seen, sourcePort: UNSEEN_PORT, port: UNSEEN_PORT };
        const all = ports.flatMap((sourcePort) =>
          ports.map((port) => permits(filter, { ...seen, sourcePort, port })),
        );
        if (permits(filter, later)) expect(all).not.to.include(false);
        const vector = vectorWith({ ...seen, sourcePort: 0, port: 0 }, FRAGMENT.LATER);
        const verdict = seen.isClear ? filter.clearVerdict(vector, 0) : filter.verdict(vector, 0);
        expect(verdict === 0).to.equal(permits(filter, later));
      }),
    );
  });
});
