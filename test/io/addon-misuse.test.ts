import { expect } from 'chai';
import { packetIo } from '../../src/io/native.ts';
import { nativeCrypto } from '../../src/io/native-crypto.ts';

const io = packetIo();
const crypto = nativeCrypto();

const udp = io.udpOpen('127.0.0.1', 0, 4096);
const codes = (count: number) => Uint8Array.from({ length: count }, (_, i) => i + 1);
const sas = crypto.create(false, codes(9), undefined);
const peeks = crypto.peekCreate(codes(2));
const stampers = crypto.stamperCreate(codes(6));
const maskers = crypto.maskerCreate(codes(2));

const key = Buffer.alloc(16, 1);
const bytes = () => Buffer.alloc(256, 7);
const octets = () => new Uint8Array(4);
const words = () => new Uint32Array(4);
/** slab, offset, length, saSlot: one packet of 100 bytes. */
const packet = () =>
  [bytes(), Uint32Array.of(64), Uint32Array.of(100), Int32Array.of(0)] as [
    Buffer,
    Uint32Array,
    Uint32Array,
    Int32Array,
  ];

const toPeek = () => [peeks, ...packet(), octets(), bytes(), words(), octets()] as const;
const toStamp = () => [stampers, ...packet(), octets(), words(), words(), Uint16Array.of(1)] as const;
const peeked = crypto.peekBind(...toPeek());
const stamped = crypto.stamperBind(...toStamp());
const handles = new Set<unknown>([udp, sas, peeks, stampers, maskers, peeked, stamped]);

function ofLink(): unknown[] {
  const [slab, offset, length] = packet();
  return [sas, 0, slab, offset, length, octets(), octets(), 1, 3];
}

/** Calls that are right, argument for argument. */
const CALLS: Readonly<Record<string, () => readonly unknown[]>> = {
  'io.segments': () => [bytes(), 100, bytes(), words(), words(), 64, 0, 4],
  'io.copyPackets': () => [bytes(), words(), words(), bytes(), words(), 4],
  'io.udpReceive': () => [udp, bytes(), words(), words(), words(), 2, 100, words()],
  'io.udpSend': () => {
    const [slab, offset, length] = packet();
    return [
      udp,
      slab,
      offset,
      length,
      octets(),
      bytes(),
      Uint32Array.of(0, 8),
      1,
      0x7f00_0001,
      9,
      64,
      1400,
      1,
      2,
      words(),
    ];
  },
  'io.stats': () => [udp, new Float64Array(7)],
  'crypto.install': () => [
    sas,
    0,
    Uint32Array.of(7, 0, 0, 0, 8, 4, 16, 0, 16),
    'aes-128-gcm',
    '',
    Buffer.alloc(20, 1),
    Buffer.alloc(0),
  ],
  'crypto.open': () => [sas, ...packet(), words(), words(), octets(), octets(), 1],
  'crypto.seal': () => [
    sas,
    ...packet(),
    words(),
    words(),
    words(),
    words(),
    octets(),
    octets(),
    1,
    true,
    bytes(),
  ],
  'crypto.linkSeal': ofLink,
  'crypto.linkOpen': ofLink,
  'crypto.peekCreate': () => [codes(2)],
  'crypto.peekInstall': () => [peeks, 0, Uint32Array.of(7, 0, 8, 16, 3, 2), Buffer.alloc(4), key],
  'crypto.peekBind': toPeek,
  'crypto.peekDecrypt': () => [peeked, 1],
  'crypto.peekDecryptLong': () => [peeks, bytes(), 64, 100, 0, bytes()],
  'crypto.stamperInstall': () => [stampers, 0, Uint32Array.of(7, 9, 3, 16, 0), key, key, key],
  'crypto.stamperBind': toStamp,
  'crypto.stamperAccept': () => [stamped, 1, 3],
  'crypto.stamperStamp': () => [stamped, 1],
  'crypto.maskerInstall': () => [maskers, 0, Uint32Array.of(9, 3, 16), key, key],
  'crypto.maskerMask': () => [maskers, ...packet(), octets(), 1, octets(), octets(), octets()],
};

const NOTHING: readonly unknown[] = [undefined, null, {}, [], Symbol('x'), 1n, () => 1];

/** Things of another kind than the argument is. */
function strangeFor(argument: unknown): unknown[] {
  if (typeof argument === 'number')
    return [...NOTHING, '1', true, -1, 0.5, Number.NaN, Infinity, 2 ** 32, 2 ** 53, octets()];
  if (typeof argument === 'boolean' || typeof argument === 'string') return [...NOTHING, 1, octets()];
  if (handles.has(argument)) {
    const others = [...handles].filter((handle) => handle !== argument);
    const disguised = [Object.create(argument as object), new Proxy(argument as object, {})];
    return [...NOTHING, 1, 'x', octets(), ...others, ...disguised];
  }
  const others = [octets(), words(), new Uint16Array(4), new Int32Array(4), new Float64Array(8)].filter(
    (array) => array.BYTES_PER_ELEMENT !== (argument as Uint8Array).BYTES_PER_ELEMENT,
  );
  return [...NOTHING, 1, 'x', new ArrayBuffer(64), new DataView(new ArrayBuffer(64)), ...others];
}

/** An array whose memory was given away, of the same kind. */
function gone(array: Uint8Array): unknown {
  const copy = structuredClone(array);
  structuredClone(copy, { transfer: [copy.buffer as ArrayBuffer] });
  return copy;
}

function call(name: string, given: readonly unknown[]): unknown {
  const [addon, method] = name.split('.') as [string, string];
  const functions = (addon === 'io' ? io : crypto) as unknown as Record<
    string,
    (...all: unknown[]) => unknown
  >;
  return functions[method]?.(...given);
}

describe('addon functions', () => {
  after(() => io.close(udp));

  for (const [name, right] of Object.entries(CALLS)) {
    it(`${name} takes what it should, and refuses every argument of another kind, and none at all`, () => {
      call(name, right());
      for (const at of right().keys()) {
        for (const strange of strangeFor(right()[at])) {
          const given = right().with(at, strange);
          const what = `argument ${at}: ${typeof strange} ${Object.prototype.toString.call(strange)}`;
          expect(() => call(name, given), what)
            .to.throw(TypeError)
            .with.property('code', 'ERR_DVIPA_ARGUMENT');
        }
      }
      const short = right().slice(0, -1);
      expect(() => call(name, short))
        .to.throw(TypeError)
        .with.property('code', 'ERR_DVIPA_ARGUMENT');
    });

    it(`${name} survives arrays whose memory is gone`, () => {
      for (const [at, argument] of right().entries()) {
        if (!ArrayBuffer.isView(argument)) continue;
        try {
          call(name, right().with(at, gone(argument as Uint8Array)));
        } catch (error) {
          expect(error, `argument ${at}`).to.have.property('code', 'ERR_DVIPA_ARGUMENT');
        }
      }
    });
  }
});
