import { expect } from 'chai';
import * as fc from 'fast-check';
import { KEEP, type Verdict } from '../../src/base/verdict.ts';
import { classifyNatTraversal, EspHeader, parseEsp } from '../../src/packet/esp-header.ts';
import { GreHeader, parseGre } from '../../src/packet/gre.ts';
import { IcmpHeader, parseIcmp } from '../../src/packet/icmp.ts';
import { Ipv4Header, parseIpv4 } from '../../src/packet/ipv4.ts';
import { Ipv6Header, parseIpv6 } from '../../src/packet/ipv6.ts';
import { parseTcp, TcpHeader } from '../../src/packet/tcp.ts';
import { parseUdp, UdpHeader } from '../../src/packet/udp.ts';
import { parseTrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { headerVectors } from '../support/header-vectors.ts';
import { fromHex } from '../support/vectors.ts';

interface Parser {
  readonly out: { headerBytes?: number; totalBytes?: number };
  readonly parse: (slab: Buffer, offset: number, length: number) => Verdict;
}

function parser<T extends Parser['out']>(
  out: T,
  parse: (slab: Buffer, offset: number, length: number, out: T) => Verdict,
): Parser {
  return { out, parse: (slab, offset, length) => parse(slab, offset, length, out) };
}

const parsers: Record<string, Parser> = {
  ipv4: parser(new Ipv4Header(), parseIpv4),
  ipv6: parser(new Ipv6Header(), parseIpv6),
  udp: parser(new UdpHeader(), parseUdp),
  tcp: parser(new TcpHeader(), parseTcp),
  icmp: parser(new IcmpHeader() as IcmpHeader & Parser['out'], parseIcmp as never),
  gre: parser(new GreHeader(), parseGre),
  esp: parser(new EspHeader() as EspHeader & Parser['out'], parseEsp as never),
};

/** Genuine headers with some bytes changed reach further into a parser than noise does. */
const genuine = (['ipv4', 'ipv6', 'udp', 'tcp', 'icmp', 'gre'] as const).flatMap((name) =>
  headerVectors[name].map((vector) => fromHex(vector.hex)),
);
const damaged = fc
  .tuple(
    fc.constantFrom(...genuine),
    fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
    fc.nat(120),
  )
  .map(([bytes, changes, length]) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
    return copy.subarray(0, length);
  });
const noise = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes));

describe('header parsers, any bytes', () => {
  for (const [name, { parse, out }] of Object.entries(parsers)) {
    it(`${name} never throws, and reads nothing beyond what was received`, () => {
      fc.assert(
        fc.property(fc.oneof(noise, damaged), (bytes) => {
          // At the very end of the slab: a read beyond would throw. Then inside one: what is around must not matter.
          const atEnd = Buffer.concat([Buffer.alloc(5), bytes]);
          const verdict = parse(atEnd, 5, bytes.length);
          const found = JSON.stringify(out);
          const inside = Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(80, 0xff)]);
          expect(parse(inside, 9, bytes.length)).to.equal(verdict);
          if (verdict !== KEEP) return;
          expect(JSON.stringify(out)).to.equal(found);
          expect(out.headerBytes ?? 0).to.be.at.most(bytes.length);
          expect(out.totalBytes ?? 0).to.be.at.most(bytes.length);
        }),
        { seed: 791, numRuns: 3000 },
      );
    });
  }

  it('classifyNatTraversal never throws', () => {
    fc.assert(
      fc.property(noise, (bytes) => {
        expect(classifyNatTraversal(bytes, 0, bytes.length)).to.be.a('string');
      }),
      { seed: 3948, numRuns: 1000 },
    );
  });

  it('parseTrafficSelector never throws', () => {
    const piece = fc.constantFrom(
      '10.1.2.3',
      '/',
      '24',
      '..',
      '2001:db8::',
      '[',
      ']',
      'tcp',
      '80',
      '-',
      ':',
      '%',
      '.',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 10 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (made) => {
        const selector = parseTrafficSelector(made);
        if (selector !== undefined) expect(selector.from.length).to.equal(selector.family === 4 ? 4 : 16);
      }),
      { seed: 7296, numRuns: 5000 },
    );
  });
});
