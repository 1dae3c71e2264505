import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  matchesSelector,
  parseTrafficSelector,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { TunnelCheck } from '../../src/ipsec/tunnel-check.ts';
import { parseIpv4Address } from '../../src/packet/address.ts';
import { TestBatch } from '../support/crypto-batch.ts';

const selector = (text: string) => parseTrafficSelector(text) as TrafficSelector;
const address = (text: string) => parseIpv4Address(text) as number;
const check = (source: string[], destination: string[]) =>
  new TunnelCheck(source.map(selector), destination.map(selector));

const [TCP, UDP, ICMP, GRE] = [6, 17, 1, 47];

describe('tunnel-check', () => {
  const web = check(['10.1.1.0/24'], ['203.0.113.10/32[tcp/80]', '203.0.113.10/32[tcp/8000-8099]']);
  const permits = (
    of: TunnelCheck,
    source: string,
    destination: string,
    protocol = TCP,
    sourcePort = 50000,
    destinationPort = 80,
    isFragment = false,
  ) => of.permits4(address(source), address(destination), protocol, sourcePort, destinationPort, isFragment);

  const cases: [string, boolean, boolean][] = [
    ['what was negotiated', permits(web, '10.1.1.7', '203.0.113.10'), true],
    ['the second selector', permits(web, '10.1.1.7', '203.0.113.10', TCP, 1, 8050), true],
    ['a foreign inner source', permits(web, '10.1.2.7', '203.0.113.10'), false],
    ['another inner destination', permits(web, '10.1.1.7', '203.0.113.11'), false],
    ['another protocol', permits(web, '10.1.1.7', '203.0.113.10', UDP), false],
    ['another port', permits(web, '10.1.1.7', '203.0.113.10', TCP, 80, 81), false],
    [
      'a fragment, whose ports nobody vouches for',
      permits(web, '10.1.1.7', '203.0.113.10', TCP, 1, 80, true),
      false,
    ],
    ['source and destination swapped', permits(web, '203.0.113.10', '10.1.1.7'), false],
  ];
  for (const [it_, got, want] of cases)
    it(`${want ? 'permits' : 'rejects'} ${it_} (RFC 4301 section 5.2)`, () => expect(got).to.equal(want));

  it('permits fragments and protocols without ports where any port is selected', () => {
    const any = check(['10.1.1.0/24'], ['203.0.113.10/32']);
    expect(permits(any, '10.1.1.7', '203.0.113.10', TCP, 0, 0, true)).to.equal(true);
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

  it('permits nothing without selectors, and nothing with IPv6 ones', () => {
    expect(permits(check([], []), '10.1.1.7', '203.0.113.10')).to.equal(false);
    expect(permits(check(['::/0'], ['::/0']), '10.1.1.7', '203.0.113.10')).to.equal(false);
  });

  it('compares addresses beyond 128.0.0.0 as unsigned', () => {
    const high = check(['10.1.1.0/24'], ['127.0.0.0..203.0.113.10']);
    expect(permits(high, '10.1.1.7', '203.0.113.10')).to.equal(true);
    expect(permits(high, '10.1.1.7', '203.0.113.11')).to.equal(false);
  });

  it('reads the columns of a batch', () => {
    const batch = new TestBatch([Buffer.alloc(1), Buffer.alloc(1)]);
    batch.family.set([4, 6]);
    for (const i of [0, 1]) {
      batch.innerSource[i] = address('10.1.1.7');
      batch.innerDestination[i] = address('203.0.113.10');
      batch.protocol[i] = TCP;
      batch.destinationPort[i] = 80;
    }
    expect([web.permits(batch, 0), web.permits(batch, 1)]).to.deep.equal([true, false]);
    batch.isFragment[0] = 1;
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
        const number = (bytes: number[]) => Buffer.from(bytes).readUInt32BE(0);
        const want = any(sources, p.source, p.ports[0]) && any(destinations, p.destination, p.ports[1]);
        const got = new TunnelCheck(sources, destinations).permits4(
          number(p.source),
          number(p.destination),
          p.protocol,
          p.ports[0],
          p.ports[1],
          p.isFragment,
        );
        expect(got).to.equal(want);
      }),
      { seed: 4301, numRuns: 2000 },
    );
  });
});
