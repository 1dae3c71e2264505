import { expect } from 'chai';
import { decodeFrame, encodeFrame } from '../../src/coupling/envelope.ts';
import { CouplingError } from '../../src/coupling/errors.ts';
import { targetHello } from '../../src/coupling/target-schemas.ts';
import { routeCodecs } from '../../src/coupling/route-schemas.ts';
import type { LinkKeyRecord } from '../../src/coupling/records.ts';

/**
 * Frames made by another program, python3-msgpack 1.0.3:
 *   packed = msgpack.packb(value, use_bin_type=True); struct.pack('>I', len(packed)) + packed
 */
const HELLO =
  '00000057 85 a16e01 a16100 a16500 a16b a568656c6c6f a162 85' +
  'a776657273696f6e 01 a4726f6c65 a6746172676574 a4686f7374 a774617267657431' +
  'ab696e6361726e6174696f6e cf0000010000000000 a965706f63685365656e 07';
const LEASE_GRANT =
  '0000005a 85 a16e02 a16101 a16508 a16b ab6c656173652d6772616e74 a162 85' +
  'a27361 b2303031313232333334343535363661613a39 a56c65617365 03' +
  'a56669727374 cf8000000000000000 a5636f756e74 ceffffffff a574746c4d73 ccc8';
const LINK_KEY =
  '0000008c 85 a16e03 a161 ce00011170 a165 ceffffffff a16b a86c696e6b2d6b6579 a162 84' +
  'a36b6579 c420 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f' +
  'a8746f526f75746572 c420 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f' +
  'a56b65794964 05 aa64697370617463686564 cf0000000200000000';

function payload(hex: string): Buffer {
  const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  expect(frame.readUInt32BE(0)).to.equal(frame.length - 4);
  return frame.subarray(4);
}

function refusal(bytes: Uint8Array): string {
  try {
    decodeFrame(bytes);
  } catch (error) {
    if (error instanceof CouplingError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('coupling envelope', () => {
  it("reads a hello of python's msgpack", () => {
    const { n, a, e, k, b } = decodeFrame(payload(HELLO));
    expect({ n, a, e, k }).to.deep.equal({ n: 1, a: 0, e: 0, k: 'hello' });
    expect(targetHello.parse(b)).to.deep.equal({
      version: 1,
      role: 'target',
      host: 'target1',
      incarnation: 1n << 40n,
      epochSeen: 7,
    });
  });

  it("reads a lease grant of python's msgpack, with a number above 2^63", () => {
    const { b } = decodeFrame(payload(LEASE_GRANT));
    expect(routeCodecs['lease-grant'].decode(b)).to.deep.equal({
      sa: '00112233445566aa:9',
      lease: 3,
      first: 1n << 63n,
      count: 2 ** 32 - 1,
      ttlMs: 200,
    });
  });

  it("reads link keys of python's msgpack into key material that outlives the frame", () => {
    const bytes = payload(LINK_KEY);
    const envelope = decodeFrame(bytes);
    expect(envelope.e).to.equal(0xffff_ffff);
    const body: LinkKeyRecord = routeCodecs['link-key'].decode(envelope.b);
    bytes.fill(0);
    expect(body.key.reveal().toString('hex')).to.match(/^000102.*1e1f$/);
    expect(body.toRouter.reveal().toString('hex')).to.match(/^202122.*3e3f$/);
    expect(body.dispatched).to.equal(2n ** 33n);
  });

  it('writes the same bytes as that program', () => {
    const bytes = payload(LINK_KEY);
    expect(encodeFrame(decodeFrame(bytes)).subarray(4).equals(bytes)).to.equal(true);
  });

  it('keeps no key in the buffer that the packer reuses', () => {
    const key = Buffer.alloc(32, 0x77);
    const frame = encodeFrame({ n: 1, a: 0, e: 1, k: 'link-key', b: { key } });
    expect(frame.includes(key)).to.equal(true);
    const later = encodeFrame({ n: 2, a: 0, e: 1, k: 'ack', b: {} });
    expect(Buffer.from(later.buffer).includes(key)).to.equal(false);
    expect(frame.buffer).not.to.equal(later.buffer);
  });

  it('throws for a record of ours above the frame cap', () => {
    expect(() => encodeFrame({ n: 1, a: 0, e: 1, k: 'x', b: Buffer.alloc(300_000) })).to.throw(TypeError);
  });

  const envelope = '85 a16e01 a16100 a16500 a16b a3776179 a162';
  const cases: [string, string][] = [
    ['0xC1, which the decoder would let pass', `${envelope} c1`],
    ['nil', `${envelope} c0`],
    ['an extension: undefined', `${envelope} d40000`],
    ['an extension: timestamp', `${envelope} d6ff00000000`],
    ['an extension: record definition', `${envelope} d4724091a16101`],
    ['an extension: regular expression', `${envelope} d4780092a161a0`],
    ['an extension: set', `${envelope} c70073 90`],
    ['an extension: reference to itself', `${envelope} d66900000001 91d67000000001`],
    ['a negative number', `${envelope} ff`],
    ['a number as key', `${envelope} 810101`],
    ['a key of 33 bytes', `${envelope} 81d921${'61'.repeat(33)}01`],
    ['nine levels', `${envelope} ${'91'.repeat(8)}01`],
    ['an array longer than the record', `${envelope} ddffffffff`],
    ['a map longer than the record', `${envelope} dfffffffff`],
    ['bytes longer than the record', `${envelope} c6ffffffff00`],
    ['bytes after the end', `${envelope} 8000`],
    ['number 0', '85 a16e00 a16100 a16500 a16b a3776179 a162 80'],
    ['a missing number', '84 a16100 a16500 a16b a3776179 a162 80'],
    ['an unknown field', '86 a16e01 a16100 a16500 a16b a3776179 a162 80 a17a01'],
    ['__proto__ as field', '86 a16e01 a16100 a16500 a16b a3776179 a162 80 a95f5f70726f746f5f5f 80'],
    ['an epoch of 2^32', '85 a16e01 a16100 a165cb41f0000000000000 a16b a3776179 a162 80'],
    ['not a number', '85 a16ecb7ff8000000000000 a16100 a16500 a16b a3776179 a162 80'],
    ['no map at all', '01'],
  ];
  for (const [what, hex] of cases) {
    it(`refuses ${what}`, () => {
      expect(refusal(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).to.match(/^coupling-malformed: /);
    });
  }

  it('refuses every truncation of a record', () => {
    const bytes = payload(LEASE_GRANT);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(bytes.subarray(0, length))).to.match(/^coupling-malformed: /);
    }
  });

  it('names the field in an error, not its value', () => {
    const bytes = Buffer.from('85a16e01a161a6736563726574a16500a16ba3776179a16280', 'hex');
    expect(refusal(bytes)).to.equal('coupling-malformed: envelope: a: invalid_type');
  });
});
