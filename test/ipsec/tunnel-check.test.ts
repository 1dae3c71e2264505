import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  matchesSelector,
  parseTrafficSelector,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { TunnelCheck } from '../../src/ipsec/tunnel-check.ts';
import { FRAGMENT } from '../../src/ipsec/inner-columns.ts';
import { innerColumns } from '../support/inner-columns.ts';

const selector = (text: string) => parseTrafficSelector(text) as TrafficSelector;
const check = (source: string[], destination: string[]) =>
  new TunnelCheck(source.map(selector), destination.map(selector));

const [TCP, UDP, ICMP, GRE, ICMPV6] = [6, 17, 1, 47, 58];

describe('tunnel-check', () => {
  const web = check(['10.1.1.0/24'], ['203.0.113.10/32[tcp/80]', '203.0.113.10/32[tcp/8000-8099]']);
  const permits = (
    of: TunnelCheck,
    source: string,
    destination: string,
    protocol = TCP,
    sourcePort = 50000,
    destinationPort = 80,
    fragment: number = FRAGMENT.WHOLE,
  ) => of.permits(innerColumns({ source, destination, protocol, sourcePort, destinationPort, fragment }), 0);

  const cases: [string, boolean, boolean][] = [
    ['what was negotiated', permits(web, '10.1.1.7', '203.0.113.10'), true],
    ['the second selector', permits(web, '10.1.1.7', '203.0.113.10', TCP, 1, 8050), true],
    ['a foreign inner source', permits(web, '10.1.2.7', '203.0.113.10'), false],
    ['another inner destination', permits(web, '10.1.1.7', '203.0.113.11'), false],
    ['another protocol', permits(web, '10.1.1.7', '203.0.113.10', UDP), false],
    ['another port', permits(web, '10.1.1.7', '203.0.113.10', TCP, 80, 81), false],
    [
      'a later fragment, which shows no ports',
      permits(web, '10.1.1.7', '203.0.113.10', TCP, 0, 0, FRAGMENT.LATER),
      false,
    ],
    [
      'a first fragment with a port that was negotiated',
      permits(web, '10.1.1.7', '203.0.113.10', TCP, 1, 80, FRAGMENT.FIRST),
      true,
    ],
    [
      'a first fragment with another port',
      permits(web, '10.1.1.7', '203.0.113.10', TCP, 1, 81, FRAGMENT.FIRST),
      false,
    ],
    ['source and destination swapped', permits(web, '203.0.113.10', '10.1.1.7'), false],
  ];
  for (const [it_, got, want] of cases)
    it(`${want ? 'permits' : 'rejects'} ${it_} (RFC 4301 section 5.2)`, () => expect(got).to.equal(want));

  it('permits a source from anywhere where that is asked for, and nothing else that is not negotiated', () => {
    const packets = [
      { source: '10.9.9.9', destinationPort: 80 },
      { source: '10.9.9.9', destinationPort: 81 },
      { source: '10.9.9.9', destinationPort: 80, destination: '203.0.113.11' },
    ];
    const columns = packets.map((packet) =>
      innerColumns({ destination: '203.0.113.10', protocol: TCP, sourcePort: 50000, ...packet }),
    );
    expect(columns.map((inner) => web.permitsFromAnywhere(inner, 0))).to.deep.equal([true, false, false]);
    expect(columns.map((inner) => web.permits(inner, 0))).to.deep.equal([false, false, false]);
  });

  it('permits fragments and protocols without ports where any port is selected', () => {
    const any = check(['10.1.1.0/24'], ['203.0.113.10/32']);
    expect(permits(any, '10.1.1.7', '203.0.113.10', TCP, 0, 0, FRAGMENT.LATER)).to.equal(true);
    expect(permits(any, '10.1.1.7', '203.0.113.10', GRE, 0, 0)).to.equal(true);
    expect(
      permits(check(['10.1.1.0/24'], ['203.0.113.10/32[47/1]']), '10.1.1.7', '203.0.113.10', GRE, 0, 1),
    ).to.equal(false);
  });

  it('compares ICMP type and code on both sides', () => {
    const echo = check(['10.1.1.0/24[icmp/2048]'], ['203.0.113.10/32[icmp/2048]']);
    expect(permits(echo, '10.1.1.7', '203.0.113.10', ICMP, 0, 0x0800)).to.equal(true);
    expect(permits(echo, '10.1.1.7', '203.0.113.10', ICMP, 0, 0x0304)).to.equal(false);
  });

  it('permits nothing without selectors, and IPv4 with no IPv6 selector', () => {
    expect(permits(check([], []), '10.1.1.7', '203.0.113.10')).to.equal(false);
    expect(permits(check(['::/0'], ['::/0']), '10.1.1.7', '203.0.113.10')).to.equal(false);
  });

  it('compares addresses beyond 128.0.0.0 as unsigned', () => {
    const high = check(['10.1.1.0/24'], ['127.0.0.0..203.0.113.10']);
    expect(permits(high, '10.1.1.7', '203.0.113.10')).to.equal(true);
    expect(permits(high, '10.1.1.7', '203.0.113.11')).to.equal(false);
  });

  it('compares IPv6 addresses in all their bits, and ICMPv6 by type and code', () => {
    const site = check(['2001:db8:1::/48'], ['2001:db8::10/128']);
    expect(permits(site, '2001:db8:1:ffff::7', '2001:db8::10')).to.equal(true);
    expect(permits(site, '2001:db8:2::7', '2001:db8::10')).to.equal(false);
    expect(permits(site, '2001:db8:1::7', '2001:db8::11')).to.equal(false);
    expect(permits(site, '2001:db8:1::7', '2001:db9::10')).to.equal(false);
    const echo = check(['::/0[ipv6-icmp/32768]'], ['2001:db8::10/128[ipv6-icmp/32768]']);
    expect(permits(echo, '2001:db8:1::7', '2001:db8::10', ICMPV6, 0, 0x8000)).to.equal(true);
    expect(permits(echo, '2001:db8:1::7', '2001:db8::10', ICMPV6, 0, 0x0200)).to.equal(false);
    expect(permits(check(['0.0.0.0/0'], ['0.0.0.0/0']), '2001:db8:1::7', '2001:db8::10')).to.equal(false);
  });

  it('goes by the family that the header said, whatever the words are', () => {
    const batch = innerColumns({ source: '10.1.1.7', destination: '203.0.113.10', destinationPort: 80 });
    expect(web.permits(batch, 0)).to.equal(true);
    batch.family[0] = 6;
    expect(web.permits(batch, 0)).to.equal(false);
  });

  it('agrees with matchesSelector on both sides, for any packet', () => {
    const byte = fc.constantFrom(0, 1, 127, 128, 255);
    const packet = fc.record({
      source: fc.tuple(byte, byte, byte, byte),
      destination: fc.tuple(byte, byte, byte, byte),
      protocol: fc.constantFrom(TCP, UDP, GRE),
      ports: fc.tuple(fc.constantFrom(0, 1, 80, 65535), fc.constantFrom(0, 1, 80, 65535)),
      isFragment: fc.boolean(),
    });
    const side = fc.record({
      ends: fc.tuple(fc.tuple(byte, byte, byte, byte), fc.tuple(byte, byte, byte, byte)),
      protocol: fc.constantFrom(0, TCP, UDP, GRE),
      ports: fc.constantFrom<[number, number]>([0, 65535], [80, 80], [0, 1], [65535, 0]),
    });
    const made = ({
      ends,
      protocol,
      ports,
    }: {
      ends: number[][];
      protocol: number;
      ports: [number, number];
    }) => {
      const [from, to] = ends.map((end) => Uint8Array.from(end)).toSorted((a, b) => Buffer.compare(a, b)) as [
        Uint8Array,
        Uint8Array,
      ];
      return {
        family: 4,
        from,
        to,
        protocol,
        fromPort: ports[0],
        toPort: ports[1],
      } satisfies TrafficSelector;
    };
    fc.assert(
      fc.property(fc.array(side, { maxLength: 3 }), fc.array(side, { maxLength: 3 }), packet, (a, b, p) => {
        const [sources, destinations] = [a.map(made), b.map(made)];
        const isSeen = !p.isFragment && p.protocol !== GRE;
        const any = (list: TrafficSelector[], bytes: number[], port: number) =>
          list.some((one) =>
            matchesSelector(one, Uint8Array.from(bytes), p.protocol, isSeen ? port : undefined),
          );
        const want = any(sources, p.source, p.ports[0]) && any(destinations, p.destination, p.ports[1]);
        const packet = innerColumns({
          source: p.source.join('.'),
          destination: p.destination.join('.'),
          protocol: p.protocol,
          sourcePort: p.ports[0],
          destinationPort: p.ports[1],
          fragment: p.isFragment ? FRAGMENT.LATER : FRAGMENT.WHOLE,
        });
        const got = new TunnelCheck(sources, destinations).permits(packet, 0);
        expect(got).to.equal(want);
      }),
      { seed: 4301, numRuns: 2000 },
    );
  });
});
