import * as fc from 'fast-check';
import { ipv4 } from './inner-packets.ts';

const PROTOCOLS = [6, 6, 6, 17, 17, 1, 58, 132, 50, 59, 253] as const;
const EXTENSIONS = [0, 43, 44, 60] as const;

const protocol = fc.constantFrom(...PROTOCOLS);
/** ICMP's first bytes decide whether there is a quote behind them. */
const quoting = fc
  .tuple(fc.constantFrom(3, 11, 12, 1, 2), fc.uint8Array({ minLength: 0, maxLength: 60 }))
  .map(([type, data]) =>
    Buffer.concat([Buffer.from([type, 1, 0, 0, 0, 0, 0, 0]), ipv4({ protocol: 6, payload: data })]),
  );
export const upperHeader = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 14, maxLength: 300 }),
  quoting,
);

/** IPv4, options and fragments included; the header may tell lies about the length. */
const anyIpv4 = fc
  .record({
    protocol,
    payload: upperHeader,
    options: fc.oneof(fc.constant(0), fc.nat(10)),
    fragment: fc.oneof(fc.constant(0), fc.constant(0x4000), fc.nat(0xffff)),
    lie: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: -30, max: 30 })),
  })
  .map(({ protocol, payload, options, fragment, lie }) => {
    const plain = ipv4({
      protocol,
      payload: Buffer.concat([Buffer.alloc(options * 4, 1), payload]),
      fragment,
    });
    plain[0] = 0x45 + options;
    plain.writeUInt16BE((plain.length + lie) & 0xffff, 2);
    return plain;
  });

/** IPv6 with a chain of extension headers. */
const anyIpv6 = fc
  .record({
    protocol,
    payload: upperHeader,
    chain: fc.array(fc.tuple(fc.constantFrom(...EXTENSIONS), fc.nat(3), fc.nat(0xffff)), { maxLength: 10 }),
    addresses: fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom('mapped', 'zero').map((kind) => {
        const addresses = Buffer.alloc(32);
        if (kind === 'mapped') addresses.set([0xff, 0xff, 10, 1, 1, 1], 10);
        return addresses;
      }),
    ),
    lie: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: -30, max: 30 })),
  })
  .map(({ protocol, payload, chain, addresses, lie }) => {
    const parts = chain.map(([kind, words, field], at) => {
      const header = Buffer.alloc(kind === 44 ? 8 : 8 + words * 8);
      header[0] = chain[at + 1]?.[0] ?? protocol;
      if (kind !== 44) header[1] = words;
      else header.writeUInt16BE(field, 2);
      return header;
    });
    const behind = Buffer.concat([...parts, payload]);
    const fixed = Buffer.alloc(8);
    fixed[0] = 0x60;
    fixed.writeUInt16BE((behind.length + lie) & 0xffff, 4);
    fixed[6] = chain[0]?.[0] ?? protocol;
    return Buffer.concat([fixed, addresses, behind]);
  });

/** What may be inside of an ESP packet in tunnel mode: IP of either family, and anything. */
export const hostileInner: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: anyIpv4 },
  { weight: 4, arbitrary: anyIpv6 },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 90 }) },
);
