import { expect } from 'chai';
import * as fc from 'fast-check';
import { FRAGMENT } from '../../src/ipsec/inner-columns.ts';
import type { OutboundPolicy } from '../../src/ipsec/sa.ts';
import { Spd } from '../../src/ipsec/spd.ts';
import {
  matchesSelector,
  parseTrafficSelector,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { type InnerTest, innerColumns } from '../support/inner-columns.ts';
import { policyFor, testSa } from '../support/test-sas.ts';

const [TCP, UDP, ICMP, GRE] = [6, 17, 1, 47];
const DVIPA = '203.0.113.10';
const PEER = '10.1.1.1';
const ECHO_REPLY = 0;
const UNREACHABLE_PORT = (3 << 8) | 3;

const selector = (text: string) => parseTrafficSelector(text) as TrafficSelector;
const sa = testSa({ spi: 0xc000_0001, direction: 'out' });

/** A policy; its key is what a look-up answers with. */
const policy = (key: string, ours: string, theirs: string, priority = 10, group = 1): OutboundPolicy => ({
  ...policyFor(sa),
  key,
  source: selector(ours),
  destination: selector(theirs),
  priority,
  group,
});

function spdOf(...policies: readonly OutboundPolicy[]): Spd {
  const spd = new Spd();
  for (const one of policies) spd.install(one);
  return spd;
}

const packet = (given: Partial<InnerTest> = {}) =>
  innerColumns({ source: DVIPA, destination: PEER, sourcePort: 80, destinationPort: 40_000, ...given });
const find = (spd: Spd, given: Partial<InnerTest> = {}) => spd.lookup(packet(given), 0)?.key;

describe('the outbound SPD, by traffic selectors (RFC 4301 section 4.4.1)', () => {
  it("tells ports apart, ours and the peer's, and leaves the rest to a wider policy", () => {
    const spd = spdOf(
      policy('web', `${DVIPA}/32[tcp/80]`, `${PEER}/32[tcp]`, 3),
      policy('mail', `${DVIPA}/32[tcp]`, `${PEER}/32[tcp/25]`, 4),
      policy('all', `${DVIPA}/32`, `${PEER}/32`, 9),
    );
    expect(find(spd)).to.equal('web');
    expect(find(spd, { sourcePort: 81 })).to.equal('all');
    expect(find(spd, { sourcePort: 50_000, destinationPort: 25 })).to.equal('mail');
    expect(find(spd, { destinationPort: 25 }), 'both: the smaller number').to.equal('web');
    expect(find(spd, { protocol: UDP })).to.equal('all');
  });

  it('tells ranges of ports apart, ends included', () => {
    const spd = spdOf(policy('range', `${DVIPA}/32[tcp/1000-1999]`, `${PEER}/32`));
    const found = [999, 1000, 1999, 2000].map((sourcePort) => find(spd, { sourcePort }));
    expect(found).to.deep.equal([undefined, 'range', 'range', undefined]);
  });

  it('tells protocols apart', () => {
    const spd = spdOf(
      policy('udp', `${DVIPA}/32[udp]`, `${PEER}/32[udp]`),
      policy('gre', `${DVIPA}/32[47]`, `${PEER}/32[47]`),
    );
    const found = [TCP, UDP, GRE, ICMP].map((protocol) => find(spd, { protocol }));
    expect(found).to.deep.equal([undefined, 'udp', 'gre', undefined]);
  });

  it('takes type and code of ICMP for the port, on either side', () => {
    const spd = spdOf(
      policy('reply', `${DVIPA}/32[icmp/${ECHO_REPLY}]`, `${PEER}/32[icmp]`, 3),
      policy('unreachable', `${DVIPA}/32[icmp]`, `${PEER}/32[icmp/${UNREACHABLE_PORT}]`, 4),
    );
    const icmp = (destinationPort: number) => find(spd, { protocol: ICMP, sourcePort: 0, destinationPort });
    expect([ECHO_REPLY, UNREACHABLE_PORT, UNREACHABLE_PORT - 1, 8 << 8].map(icmp)).to.deep.equal([
      'reply',
      'unreachable',
      undefined,
      undefined,
    ]);
  });

  it('shows a later fragment, which has no ports, only policies that want none', () => {
    const narrow = policy('web', `${DVIPA}/32[tcp/80]`, `${PEER}/32[tcp]`, 3);
    const later = { fragment: FRAGMENT.LATER, sourcePort: 0, destinationPort: 0 };
    expect(find(spdOf(narrow), later)).to.equal(undefined);
    expect(find(spdOf(narrow, policy('all', `${DVIPA}/32`, `${PEER}/32`, 9)), later)).to.equal('all');
    expect(find(spdOf(narrow), { ...later, fragment: FRAGMENT.FIRST, sourcePort: 80 })).to.equal('web');
  });

  it('keeps flows apart that differ in one field only, however often they are asked for', () => {
    const spd = spdOf(
      policy('tcp', `${DVIPA}/32[tcp/53]`, '10.1.0.0/16', 3),
      policy('udp', `${DVIPA}/32[udp/53]`, '10.1.0.0/16', 3),
      policy('other', `${DVIPA}/32`, '10.2.0.0/16', 3),
    );
    for (let round = 0; round < 3; round++) {
      expect(find(spd, { protocol: TCP, sourcePort: 53 })).to.equal('tcp');
      expect(find(spd, { protocol: UDP, sourcePort: 53 })).to.equal('udp');
      expect(find(spd, { protocol: UDP, sourcePort: 53, destination: '10.2.1.1' })).to.equal('other');
      expect(find(spd, { protocol: UDP, sourcePort: 53, source: '203.0.113.11' })).to.equal(undefined);
    }
  });

  it('answers what its words say, for any policies and packets, whatever came between', () => {
    const ours = fc.constantFrom(
      `${DVIPA}/32`,
      `${DVIPA}/32[tcp]`,
      `${DVIPA}/32[tcp/80]`,
      `${DVIPA}/32[udp/53-99]`,
      `${DVIPA}/32[icmp/${ECHO_REPLY}]`,
      '0.0.0.0/0[47]',
    );
    const theirs = fc.constantFrom(
      '10.1.0.0/16',
      '10.1.1.0/24[tcp]',
      '10.1.1.1/32[udp/53]',
      `10.1.1.1/32[icmp/${UNREACHABLE_PORT}]`,
      '0.0.0.0/0',
    );
    const packets = fc.record({
      destination: fc.constantFrom('10.1.1.1', '10.1.2.1', '192.0.2.7'),
      protocol: fc.constantFrom(TCP, UDP, ICMP, GRE),
      sourcePort: fc.constantFrom(0, 53, 80, 99, 100),
      destinationPort: fc.constantFrom(ECHO_REPLY, 53, UNREACHABLE_PORT),
    });
    const policies = fc.array(
      fc.tuple(ours, theirs, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 })),
      {
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(policies, fc.array(packets, { maxLength: 12 }), (given, asked) => {
        const all = given.map(([from, to, priority, group], i) => policy(`${i}`, from, to, priority, group));
        const spd = new Spd();
        const installed: OutboundPolicy[] = [];
        for (const one of all) {
          spd.install(one);
          installed.push(one);
          for (const each of asked) {
            const found = spd.lookup(packet(withoutPorts(each)), 0);
            const best = installed.filter((other) => isAbout(other, withoutPorts(each)));
            const order = (p: OutboundPolicy) => p.priority * 10 - p.group;
            expect(found && order(found)).to.equal(
              best.length === 0 ? undefined : Math.min(...best.map(order)),
            );
            if (found !== undefined) expect(best).to.include(found);
          }
        }
      }),
    );
  });
});

interface Asked {
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** As the inner columns have it. */
function withoutPorts(given: Asked): Asked {
  if (given.protocol === GRE) return { ...given, sourcePort: 0, destinationPort: 0 };
  return given.protocol === ICMP ? { ...given, sourcePort: 0 } : given;
}

function isAbout({ source, destination }: OutboundPolicy, given: Asked): boolean {
  const bytes = (text: string) => Uint8Array.from(text.split('.').map(Number));
  const ours = given.protocol === ICMP ? given.destinationPort : given.sourcePort;
  return (
    matchesSelector(source, bytes(DVIPA), given.protocol, ours) &&
    matchesSelector(destination, bytes(given.destination), given.protocol, given.destinationPort)
  );
}
