import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  equalSelectors,
  formatTrafficSelector,
  isOpaque,
  matchesSelector,
  packIcmp,
  parseTrafficSelector,
  type TrafficSelector,
  trafficSelectorOf,
} from '../../src/ipsec/traffic-selector.ts';

const selector = (text: string) => {
  const parsed = parseTrafficSelector(text);
  if (parsed === undefined) throw new Error(`not a selector: ${text}`);
  return parsed;
};
const v4 = (text: string) => Uint8Array.from(text.split('.').map(Number));

describe('traffic-selector', () => {
  it('reads and prints what swanctl prints', () => {
    for (const text of [
      '203.0.113.10/32',
      '10.1.0.0/16',
      '0.0.0.0/0',
      '10.1.0.5..10.1.0.9',
      '10.1.0.0/24[tcp/80]',
      '10.1.0.0/24[udp]',
      '10.1.0.0/24[tcp/1024-65535]',
      '10.1.0.0/24[132/OPAQUE]'.replace('132', 'sctp'),
      '2001:db8::/32',
      '2001:db8::1..2001:db8::5[47]',
    ]) {
      expect(formatTrafficSelector(selector(text))).to.equal(text);
    }
  });

  it('takes the subnet of an address with host bits, and a single address without a prefix', () => {
    expect(formatTrafficSelector(selector('10.1.2.3/16'))).to.equal('10.1.0.0/16');
    expect(formatTrafficSelector(selector('10.1.2.3'))).to.equal('10.1.2.3/32');
  });

  it('refuses text that is no selector', () => {
    for (const text of [
      '',
      '10.1.2.3/33',
      '10.1.2/24',
      '10.1.2.9..10.1.2.1',
      '10.1.2.1..2001:db8::1',
      '10.1.2.1[tcp/80',
      '10.1.2.1[tcp/90-80]',
      '10.1.2.1[tcp/65536]',
      '10.1.2.1[nosuch]',
      '10.1.2.1[256]',
      'fe80::1%eth0',
      '10.1.2.1 ',
      '2001:db8::/129',
    ]) {
      expect(parseTrafficSelector(text), text).to.equal(undefined);
    }
  });

  it('builds from the fields of VICI and refuses what does not fit', () => {
    expect(
      trafficSelectorOf({ from: '10.1.1.0', to: '10.1.1.255', protocol: 6, fromPort: 80, toPort: 80 }),
    ).to.deep.equal(selector('10.1.1.0/24[tcp/80]'));
    expect(trafficSelectorOf({ from: '10.1.1.9', to: '10.1.1.1' })).to.equal(undefined);
    expect(trafficSelectorOf({ from: '10.1.1.1', to: '2001:db8::' })).to.equal(undefined);
    expect(trafficSelectorOf({ from: '10.1.1.1', to: '10.1.1.1', protocol: 1.5 })).to.equal(undefined);
    expect(trafficSelectorOf({ from: '10.1.1.1', to: '10.1.1.1', fromPort: Number.NaN })).to.equal(undefined);
  });

  it('matches addresses inclusively at both ends', () => {
    const range = selector('10.1.0.255..10.1.1.1');
    for (const [address, want] of [
      ['10.1.0.254', false],
      ['10.1.0.255', true],
      ['10.1.1.0', true],
      ['10.1.1.1', true],
      ['10.1.1.2', false],
    ] as const)
      expect(matchesSelector(range, v4(address), 6, 1), address).to.equal(want);
  });

  it('never matches an address of the other family', () => {
    expect(matchesSelector(selector('0.0.0.0/0'), new Uint8Array(16), 6, 1)).to.equal(false);
    expect(matchesSelector(selector('::/0'), new Uint8Array(4), 6, 1)).to.equal(false);
  });

  it('matches protocol and ports', () => {
    const web = selector('10.1.0.0/16[tcp/80-81]');
    expect(matchesSelector(web, v4('10.1.0.1'), 6, 80)).to.equal(true);
    expect(matchesSelector(web, v4('10.1.0.1'), 6, 81)).to.equal(true);
    expect(matchesSelector(web, v4('10.1.0.1'), 6, 82)).to.equal(false);
    expect(matchesSelector(web, v4('10.1.0.1'), 17, 80)).to.equal(false);
  });

  it('lets a packet without visible ports match only "any" and OPAQUE (RFC 4301 section 4.4.1.1)', () => {
    expect(matchesSelector(selector('10.1.0.0/16[tcp/80]'), v4('10.1.0.1'), 6, undefined)).to.equal(false);
    expect(matchesSelector(selector('10.1.0.0/16[tcp]'), v4('10.1.0.1'), 6, undefined)).to.equal(true);
    const opaque = selector('10.1.0.0/16[tcp/OPAQUE]');
    expect(isOpaque(opaque)).to.equal(true);
    expect(matchesSelector(opaque, v4('10.1.0.1'), 6, undefined)).to.equal(true);
    expect(matchesSelector(opaque, v4('10.1.0.1'), 6, 0)).to.equal(false);
  });

  it('treats ICMP type and code as one port', () => {
    const echo = trafficSelectorOf({
      from: '10.1.0.0',
      to: '10.1.255.255',
      protocol: 1,
      fromPort: packIcmp(8, 0),
      toPort: packIcmp(8, 255),
    }) as TrafficSelector;
    expect(matchesSelector(echo, v4('10.1.0.1'), 1, packIcmp(8, 0))).to.equal(true);
    expect(matchesSelector(echo, v4('10.1.0.1'), 1, packIcmp(3, 4))).to.equal(false);
  });

  it('survives text and back, for any selector', () => {
    const address = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    const port = fc.nat(0xffff);
    fc.assert(
      fc.property(address, fc.nat(255), port, port, fc.nat(255), (from, protocol, a, b, last) => {
        const to = Uint8Array.from(from);
        to[to.length - 1] = Math.max(last, from[from.length - 1] as number);
        const made: TrafficSelector = {
          family: from.length === 4 ? 4 : 6,
          from,
          to,
          protocol,
          fromPort: Math.min(a, b),
          toPort: Math.max(a, b),
        };
        const back = parseTrafficSelector(formatTrafficSelector(made));
        expect(back !== undefined && equalSelectors(back, made)).to.equal(true);
      }),
      { seed: 7296 },
    );
  });
});
