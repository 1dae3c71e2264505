import { expect } from 'chai';
import { codecOf, type BodyCodec, type BodyCodecs } from '../../src/coupling/bodies.ts';
import { decodeFrame, encodeFrame } from '../../src/coupling/envelope.ts';
import { CouplingError } from '../../src/coupling/errors.ts';
import { FLOWS_MAX, LISTENED_PORTS_MAX } from '../../src/coupling/limits.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { routeCodecs, wipeEvent } from '../../src/coupling/route-schemas.ts';
import { targetCodecs } from '../../src/coupling/target-schemas.ts';
import {
  INTEGRITY_KEY_BYTES,
  KEY_BYTES,
  routeBodies,
  SA_ID,
  sampleSa,
  selector,
  targetBodies,
} from './samples.ts';

type AnyCodec = BodyCodec<unknown>;

const kinds: { kind: string; codec: AnyCodec; body: unknown }[] = [
  ...listKinds(routeCodecs, routeBodies()),
  ...listKinds(targetCodecs, targetBodies()),
];

function listKinds<B extends object>(codecs: BodyCodecs<B>, bodies: B) {
  return Object.entries(bodies).map(([kind, body]) => ({
    kind,
    body: body as unknown,
    codec: codecs[kind as keyof B] as unknown as AnyCodec,
  }));
}

/** Over a real frame, wiped afterwards as the session does. */
function travel(codec: AnyCodec, body: unknown): unknown {
  const frame = encodeFrame({ n: 1, a: 0, e: 1, k: 'any', b: codec.encode(body) });
  const decoded = codec.decode(decodeFrame(frame.subarray(4)).b);
  frame.fill(0);
  return decoded;
}

function wireOf(codec: AnyCodec, body: unknown): Record<string, unknown> {
  const frame = encodeFrame({ n: 1, a: 0, e: 1, k: 'any', b: codec.encode(body) });
  return decodeFrame(frame.subarray(4)).b as Record<string, unknown>;
}

function refusal(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof CouplingError) return error.code;
    throw error;
  }
  return undefined;
}

/** Keys as hex, so that deep equality sees them. */
function revealed(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner)),
  );
}

describe('coupling records', () => {
  for (const { kind, codec, body } of kinds) {
    it(`${kind} arrives as it was sent, after its frame was wiped`, () => {
      const arrived = travel(codec, body);
      expect(Buffer.from(JSON.stringify(revealed(arrived))).toString()).to.equal(
        JSON.stringify(revealed(reordered(arrived, body))),
      );
    });

    it(`${kind} with an unknown field is malformed`, () => {
      const wire = { ...wireOf(codec, body), more: 1 };
      expect(refusal(() => codec.decode(wire))).to.equal('coupling-malformed');
    });

    it(`${kind} without one of its fields, or with another type in it, is malformed`, () => {
      const wire = wireOf(codec, body);
      const optional = new Set(['senderId', 'window', 'reason', 'sourcePorts']);
      for (const field of Object.keys(wire).filter((name) => !optional.has(name))) {
        const { [field]: _gone, ...rest } = wire;
        expect(
          refusal(() => codec.decode(rest)),
          `without ${field}`,
        ).to.equal('coupling-malformed');
        for (const wrong of [null, Symbol('x'), Number.NaN, -1, 'x'.repeat(2000), -1n]) {
          const changed = { ...wire, [field]: wrong };
          expect(
            refusal(() => codec.decode(changed)),
            field,
          ).to.equal('coupling-malformed');
        }
      }
    });
  }

  it('sa-install makes key material of the keys at once', () => {
    const arrived = travel(routeCodecs['sa-install'], routeBodies()['sa-install']);
    const { sa } = arrived as ReturnType<typeof routeBodies>['sa-install'];
    expect(sa.encryption.key.reveal().equals(KEY_BYTES)).to.equal(true);
    expect(sa.integrity?.key.reveal().equals(INTEGRITY_KEY_BYTES)).to.equal(true);
    expect(JSON.stringify(revealed(sa))).to.include('<redacted>');
    wipeEvent({ kind: 'sa-install', body: arrived as ReturnType<typeof routeBodies>['sa-install'] });
    expect([sa.encryption.key.isWiped, sa.integrity?.key.isWiped]).to.deep.equal([true, true]);
  });

  it('sa-install without integrity, window and sender id has no such fields', () => {
    const { integrity: _none, ...sa } = sampleSa();
    const body = { sa, credit: { bytes: 0, packets: 0 } };
    const arrived = travel(routeCodecs['sa-install'], body) as typeof body;
    expect(Object.keys(arrived).toSorted()).to.deep.equal(['credit', 'sa']);
    expect(arrived.sa).not.to.have.property('integrity');
  });

  it('policy-install of a trap arrives with an undefined spi', () => {
    const { policy } = routeBodies()['policy-install'];
    const body = { policy: { ...policy, spi: undefined } };
    const arrived = travel(routeCodecs['policy-install'], body);
    expect((arrived as typeof body).policy.spi).to.equal(undefined);
  });

  const refused: [string, () => unknown][] = [
    ['an SPI of the reserved range', () => ({ sa: { ...wireSa(), spi: 255 } })],
    ['an address that is none', () => ({ sa: { ...wireSa(), dvipa: '203.0.113.300' } })],
    ['an IPv4 address as one number', () => ({ sa: { ...wireSa(), dvipa: '3405803786' } })],
    ['a zone in an address', () => ({ sa: { ...wireSa(), dvipa: 'fe80::1%eth0' } })],
    ['a selector with 4 bytes of IPv6', () => withSelector({ ...selector([1, 2, 3, 4]), family: 6 })],
    ['a selector that ends before it begins', () => withSelector(selector([2, 0, 0, 0], [1, 0, 0, 0]))],
    ['256 selectors', () => withSelector(...Array.from({ length: 256 }, () => selector([1, 2, 3, 4])))],
    [
      'a key of 129 bytes',
      () => ({ sa: { ...wireSa(), encryption: { transform: 20, key: Buffer.alloc(129) } } }),
    ],
    ['an empty key', () => ({ sa: { ...wireSa(), encryption: { transform: 20, key: Buffer.alloc(0) } } })],
    ['a key for NULL', () => ({ sa: { ...wireSa(), encryption: { transform: 11, key: Buffer.alloc(16) } } })],
    ['text as key', () => ({ sa: { ...wireSa(), encryption: { transform: 20, key: 'k'.repeat(20) } } })],
    ["the routing host's own sender id", () => ({ sa: wireSa(), senderId: 0 })],
    ['a window of 32769 bits', () => ({ sa: wireSa(), window: { top: 1n, bitmap: Buffer.alloc(4097) } })],
    ['an id of another form', () => ({ sa: { ...wireSa(), id: '../etc' } })],
  ];
  for (const [what, change] of refused) {
    it(`sa-install refuses ${what}`, () => {
      const wire = { ...wireOf(codec('sa-install'), routeBodies()['sa-install']), ...(change() as object) };
      expect(refusal(() => codec('sa-install').decode(wire))).to.equal('coupling-malformed');
    });
  }

  function codec(kind: string): AnyCodec {
    return kinds.find((entry) => entry.kind === kind)?.codec as AnyCodec;
  }

  function wireSa(): Record<string, unknown> {
    return wireOf(codec('sa-install'), routeBodies()['sa-install'])['sa'] as Record<string, unknown>;
  }

  function withSelector(...sourceSelectors: object[]) {
    return { sa: { ...wireSa(), sourceSelectors } };
  }

  it('link-key refuses keys that are not 32 bytes', () => {
    const wire = { key: Buffer.alloc(31), toRouter: Buffer.alloc(32), keyId: 1 };
    expect(refusal(() => codec('link-key').decode(wire))).to.equal('coupling-malformed');
  });

  it('replay-report refuses what is no ranges, and more than 4096 numbers, in how few ranges ever', () => {
    const refusalOf = (numbers: Uint8Array) => {
      const wire = { sa: SA_ID, numbers: Buffer.from(numbers), floor: 0n, wrongIcvs: 0 };
      return refusal(() => codec('replay-report').decode(wire));
    };
    const apart = (count: number) => packNumbers(Array.from({ length: count }, (_, i) => BigInt(2 * i + 1)));
    const run = (count: number) => packNumbers(Array.from({ length: count }, (_, i) => BigInt(i + 1)));
    const good = [packNumbers([]), apart(4096), run(4096)];
    expect(good.map(refusalOf)).to.deep.equal([undefined, undefined, undefined]);
    const empty = Buffer.alloc(12);
    for (const bad of [run(1).subarray(1), empty, apart(4097), run(4097), Buffer.alloc(12, 0xff)])
      expect(refusalOf(bad)).to.equal('coupling-malformed');
  });

  it('mapping-report refuses port 0, an address that is none, and a number that is no 64-bit one', () => {
    const good = { sa: SA_ID, address: '192.0.2.99', port: 1, sequence: 1n };
    expect(refusal(() => codec('mapping-report').decode(good))).to.equal(undefined);
    for (const bad of [
      { port: 0 },
      { port: 65_536 },
      { address: '192.0.2.999' },
      { sequence: 1 },
      { x: 1 },
    ]) {
      const wire = { ...good, ...bad };
      expect(refusal(() => codec('mapping-report').decode(wire))).to.equal('coupling-malformed');
    }
  });

  it('a full flow-report of IPv6 flows fits into a frame', () => {
    const flow = {
      dvipa: '2001:db8:1111:2222:3333:4444:5555:6666',
      group: 0xffff_ffff,
      protocol: 17,
      source: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff',
      sourcePort: 65535,
      destinationPort: 65535,
    };
    const flows = Array.from({ length: FLOWS_MAX }, () => flow);
    const arrived = travel(codec('flow-report'), { opened: flows, closed: flows, full: true });
    expect((arrived as { opened: unknown[] }).opened).to.have.lengthOf(FLOWS_MAX);
  });

  it('listeners have ports of 1 to 65535, ascending, each once, and not too many', () => {
    const good = { dvipa: '2001:db8::10', tcp: [1, 2, 65_535], udp: [] };
    const ports = (count: number) => Array.from({ length: count }, (_, i) => 60_000 + i);
    const refused = (change: object) => refusal(() => codec('listeners').decode({ ...good, ...change }));
    expect(refused({})).to.equal(undefined);
    expect(refused({ udp: ports(LISTENED_PORTS_MAX) })).to.equal(undefined);
    for (const list of [[0], [65_536], [2, 1], [1, 1], [1.5], ['1'], ports(LISTENED_PORTS_MAX + 1)]) {
      expect(refused({ tcp: list }), `tcp ${list[0]}`).to.equal('coupling-malformed');
      expect(refused({ udp: list }), `udp ${list[0]}`).to.equal('coupling-malformed');
    }
    expect(refused({ dvipa: 'everywhere' })).to.equal('coupling-malformed');
  });

  it('load is a whole number of thousandths', () => {
    const refused = (busyPerMille: unknown) => refusal(() => codec('load').decode({ busyPerMille }));
    expect([0, 1000].map(refused)).to.deep.equal([undefined, undefined]);
    for (const bad of [-1, 1001, 0.5, '7', undefined]) expect(refused(bad)).to.equal('coupling-malformed');
  });

  it('a kind of the other role, or of Object.prototype, is unknown', () => {
    expect(refusal(() => codecOf(targetCodecs, 'sa-install'))).to.equal('coupling-malformed');
    expect(refusal(() => codecOf(routeCodecs, 'flush'))).to.equal('coupling-malformed');
    expect(refusal(() => codecOf(routeCodecs, 'constructor'))).to.equal('coupling-malformed');
  });

  it('a body that the peer would refuse is a TypeError on our side, without its value', () => {
    const body = { ...routeBodies()['lease-grant'], count: 0 };
    expect(() => routeCodecs['lease-grant'].encode(body)).to.throw(TypeError, 'count: too_small');
  });
});

/** `expected` with its fields in the order of `actual`, whose order the schema decides. */
function reordered(actual: unknown, expected: unknown): unknown {
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return expected.map((value: unknown, i) => reordered(actual[i], value));
  }
  if (!isPlain(actual) || !isPlain(expected)) return expected;
  const names = [...new Set([...Object.keys(actual), ...Object.keys(expected)])];
  return Object.fromEntries(names.map((name) => [name, reordered(actual[name], expected[name])]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
