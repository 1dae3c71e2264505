/**
 * Random calls of the addon packet-crypto, the same each time, run by scripts/test-addons-asan: arrays of every size, packets
 * anywhere in and around the slab, every suite, keys and suites that are none. A model says of each call whether it must throw;
 * with DVIPA_FUZZ_MODEL=off only the sanitizers judge. Prints one line if all is well.
 */
import assert from 'node:assert/strict';
import { type NativeSas, nativeCrypto } from '../../../src/io/native-crypto.ts';
import { Crew } from '../../../src/io/crew.ts';
import type { NativeCrew } from '../../../src/io/native.ts';
import { knownAlgorithms } from '../../../src/ipsec/algorithms.ts';

const CALLS = 6000;
const UINT32 = 0xffff_ffff;
const SLOTS = 24;
/** Holds a link key in every table. */
const LINK_SLOT = SLOTS;
const LINK_KEY_ID = 0x1000;
const DRAWN = 16;
const hasModel = process.env['DVIPA_FUZZ_MODEL'] !== 'off';

const native = nativeCrypto();
const VERDICTS = Uint8Array.from({ length: 9 }, (_, i) => i + 10);

/** Numbers that look random and are the same each time (xorshift32). */
let state = 0x9e3779b9;
function next(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
function oneOf<T>(...values: readonly T[]): T {
  return values[next(values.length)] as T;
}

const bytes = (length: number) => Buffer.from(new ArrayBuffer(length)).map(() => next(256)) as Buffer;

/** What is installed where: does it draw IVs. */
const installed = new Map<NativeSas, Map<number, boolean>>();
/** Some vectors are large enough to be shared. */
const crew = new Crew(3);
const tables = (['openssl', 'ipsec-mb'] as const)
  .filter((library) => library === 'openssl' || native.libraries().ipsecMb !== undefined)
  .flatMap((library) =>
    [undefined, crew.handle].map((of) => native.create(library === 'ipsec-mb', VERDICTS, of)),
  );
for (const table of tables) installed.set(table, new Map());

const counts = { accepted: 0, refused: 0, opened: 0, installed: 0, linked: 0 };

/** Calls, and compares whether it threw with whether it must; `undefined`: it may. True: it did not. */
function attempt(mustThrow: boolean | undefined, what: string, call: () => unknown): boolean {
  let hasThrown = false;
  try {
    call();
  } catch (error) {
    hasThrown = true;
    assert.equal((error as { code?: string }).code, 'ERR_DVIPA_ARGUMENT', what);
  }
  if (hasModel && mustThrow !== undefined) assert.equal(hasThrown, mustThrow, what);
  if (hasThrown) counts.refused++;
  else counts.accepted++;
  return !hasThrown;
}

const KINDS = ['aead', 'gmac', 'cipher', 'null'];
const IVS = ['numbered', 'random', 'none'];
const MACS = ['none', 'hmac', 'xcbc', 'cmac'];
const { encryption, integrity } = knownAlgorithms();

function install(table: NativeSas): void {
  const row = oneOf(...encryption);
  const keyBytes = oneOf(...row.keyBytes);
  const mac = row.icvBytes > 0 ? undefined : oneOf(...integrity);
  const suite = Uint32Array.of(
    0x1000 + next(4),
    next(2),
    KINDS.indexOf(row.kind),
    IVS.indexOf(row.iv),
    row.ivBytes,
    row.alignBytes,
    mac?.icvBytes ?? row.icvBytes,
    MACS.indexOf(mac?.mac ?? 'none'),
    keyBytes,
  );
  let [key, macKey] = [bytes(keyBytes + row.saltBytes), bytes(mac?.keyBytes ?? 0)];
  let [cipher, primitive] = [row.cipherName(keyBytes * 8), mac?.primitive ?? ''];
  const slot = oneOf(next(SLOTS), next(SLOTS), 1 << 22, UINT32);
  const isSpoilt = next(3) === 0;
  if (isSpoilt) {
    // Nothing of this is a suite of ours for sure, but some is one of the library's.
    suite[1 + next(8)] = oneOf(0, 1, 2, 3, 4, 8, 12, 16, 33, UINT32);
    if (next(2) === 0) key = bytes(next(80));
    if (next(4) === 0) macKey = bytes(next(80));
    if (next(4) === 0)
      cipher = oneOf('aes-128-ecb', 'aes-128-xts', 'null', 'x'.repeat(100), 'chacha20', 'aes-256-gcm');
    if (next(4) === 0) primitive = oneOf('sha224', 'md5', 'aes-256-cbc', 'aes-128-ctr', 'x'.repeat(100), '');
  }
  const must = slot >= 1 << 22 ? true : isSpoilt ? undefined : false;
  const what = `install(${slot}, ${suite.join()}, ${cipher}, ${primitive}, ${key.length}, ${macKey.length})`;
  if (!attempt(must, what, () => native.install(table, slot, suite, cipher, primitive, key, macKey))) return;
  installed.get(table)?.set(slot, suite[3] === 1);
  counts.installed++;
}

const around = (limit: number) =>
  oneOf(next(limit + 1), next(limit + 1), next(limit + 1), limit, limit + next(64), UINT32 - next(64));

function makeVector() {
  const slab = bytes(oneOf(0, 1, 40, 100, next(3000), next(70_000)));
  const entries = oneOf(0, 1, 5, 64, 65, 130);
  const shape = () => (next(12) === 0 ? next(130) : entries);
  const words = (make: () => number) => Uint32Array.from({ length: shape() }, make);
  const offset = words(() => around(slab.length));
  const length = words(() => oneOf(next(200), next(1600), around(slab.length)));
  const saSlot = Int32Array.from({ length: shape() }, () =>
    oneOf(next(SLOTS), next(SLOTS), next(SLOTS), -1, -(2 ** 31), 2 ** 31 - 1),
  );
  const verdict = new Uint8Array(shape()).map(() => (next(8) === 0 ? 5 : 0));
  const sequence = () => words(() => next(3));
  const [high, low, ivHigh, ivLow] = [sequence(), sequence(), sequence(), sequence()];
  const nextHeader = new Uint8Array(shape()).map(() => next(256));
  // Some look as if they were of the SA, so that more than the first check sees them.
  offset.forEach((at, i) => {
    if (next(2) === 0 && at + 8 <= slab.length) slab.writeUInt32BE(0x1000 + (i % 4), at);
  });
  return { slab, offset, length, saSlot, verdict, high, low, ivHigh, ivLow, nextHeader };
}

function call(table: NativeSas): void {
  const { slab, offset, length, saSlot, verdict, high, low, ivHigh, ivLow, nextHeader } = makeVector();
  const all = { offset, length, saSlot, verdict, high, low, nextHeader };
  const isOpen = next(2) === 0;
  const shortest = Math.min(
    ...Object.values(isOpen ? all : { ...all, ivHigh, ivLow }).map((array) => array.length),
  );
  const count = oneOf(shortest, shortest, next(shortest + 1), shortest + 1 + next(10), UINT32);
  const what = `${isOpen ? 'open' : 'seal'}(${slab.length}, ${count} of ${shortest})`;
  const before = structuredClone({ slab: Uint8Array.from(slab), ...all });
  if (isOpen) {
    attempt(count > shortest, what, () => {
      counts.opened += native.open(
        table,
        slab,
        offset,
        length,
        saSlot,
        high,
        low,
        nextHeader,
        verdict,
        count,
      );
    });
  } else {
    const draws = saSlot
      .subarray(0, count)
      .filter((slot, i) => verdict[i] === 0 && installed.get(table)?.get(slot));
    const least = draws.length === 0 ? 0 : count * DRAWN;
    const random = bytes(count > shortest ? 0 : Math.max(0, least - oneOf(0, 0, 0, 1)));
    const isNumbered = next(2) === 0;
    attempt(count > shortest || random.length < least, what, () =>
      native.seal(
        table,
        slab,
        offset,
        length,
        saSlot,
        high,
        low,
        ivHigh,
        ivLow,
        nextHeader,
        verdict,
        count,
        isNumbered,
        random,
      ),
    );
    // What was sealed is opened by the same keys, if nothing wrote over it.
    if (count <= shortest)
      counts.opened += native.open(
        table,
        slab,
        offset,
        length,
        saSlot,
        high,
        low,
        nextHeader,
        verdict,
        count,
      );
  }
  if (!hasModel) return;
  if (count > shortest)
    return assert.deepEqual({ slab: Uint8Array.from(slab), ...all }, before, `${what}: untouched`);
  for (let i = 0; i < count; i++) {
    if (before.verdict[i] === 0) continue;
    assert.deepEqual(
      [verdict[i], offset[i], length[i]],
      [before.verdict[i], before.offset[i], before.length[i]],
      what,
    );
  }
}

const AES_256_GCM_16 = Uint32Array.of(LINK_KEY_ID, 0, 0, 0, 8, 4, 16, 0, 32);
for (const table of tables) {
  const key = Buffer.concat([bytes(32), Buffer.from([0, 0, 0x10, 0])]);
  native.install(table, LINK_SLOT, AES_256_GCM_16, 'aes-256-gcm', '', key, Buffer.alloc(0));
}

/** Seals marked packets for the link, which then open, or opens what comes. */
function callLink(table: NativeSas): void {
  const { slab, offset, length, verdict } = makeVector();
  const marked = new Uint8Array(oneOf(verdict.length, verdict.length, next(130))).map(() => next(2));
  const shortest = Math.min(offset.length, length.length, verdict.length, marked.length);
  const count = oneOf(shortest, shortest, next(shortest + 1), shortest + 1 + next(10), UINT32);
  const slot = oneOf(LINK_SLOT, LINK_SLOT, LINK_SLOT, next(SLOTS), UINT32);
  const mustThrow = count > shortest ? true : slot === LINK_SLOT || slot === UINT32 ? false : undefined;
  for (const at of offset) if (next(8) > 0 && at + 4 <= slab.length) slab.writeUInt32BE(LINK_KEY_ID, at);
  const before = structuredClone({ slab: Uint8Array.from(slab), offset, length, verdict });
  const rest = [table, slot, slab, offset, length, verdict, marked, count] as const;
  const what = `link(${slot}, ${slab.length}, ${count} of ${shortest})`;
  const isSealed = next(2) === 0 && attempt(mustThrow, what, () => native.linkSeal(...rest, 7));
  if (hasModel && count > shortest)
    return assert.deepEqual({ slab: Uint8Array.from(slab), offset, length, verdict }, before, what);
  attempt(mustThrow, what, () => native.linkOpen(...rest, isSealed ? 7 : 8));
  assert.deepEqual([offset, length], [before.offset, before.length], `${what}: moves no packet`);
  for (let i = 0; i < Math.min(count, shortest); i++) {
    const isMeant = marked[i] === 1 && before.verdict[i] === 0;
    if (!isMeant) assert.equal(verdict[i], before.verdict[i], what);
    else if (verdict[i] === 0 && slot === LINK_SLOT) counts.linked++;
  }
}

for (let n = 0; n < CALLS; n++) {
  const table = oneOf(...tables);
  const what = next(10);
  if (what < 3) install(table);
  else if (what === 3) {
    const slot = oneOf(next(SLOTS), UINT32, 1 << 21);
    attempt(false, `remove(${slot})`, () => native.remove(table, slot));
    installed.get(table)?.delete(slot);
  } else if (what < 6) callLink(table);
  else call(table);
}

// Things that are no table, no array, or not of the right kind.
const strange: unknown[] = [undefined, 1, 'x', {}, [], new Uint8Array(4), new Float64Array(4), () => 1];
for (const thing of strange) {
  attempt(true, 'create', () => native.create(false, thing as Uint8Array, undefined));
  if (thing !== undefined) attempt(true, 'create', () => native.create(false, VERDICTS, thing as NativeCrew));
  attempt(true, 'remove', () => native.remove(thing as NativeSas, 0));
  const link = [tables[0], LINK_SLOT, Buffer.alloc(64), new Uint32Array(1), new Uint32Array(1)];
  const columns = [new Uint8Array(1), new Uint8Array(1), 1, 7];
  for (let at = 0; at < 9; at++) {
    if (thing === 1 && [1, 7, 8].includes(at)) continue; // that is what belongs there
    if (thing instanceof Uint8Array && [2, 5, 6].includes(at)) continue;
    const bad = [...link, ...columns].map((value, i) => (i === at ? thing : value));
    attempt(true, `link ${at}`, () => native.linkOpen(...(bad as Parameters<typeof native.linkOpen>)));
  }
  const table = tables[0] as NativeSas;
  const arrays = [
    Buffer.alloc(64),
    new Uint32Array(1),
    new Uint32Array(1),
    new Int32Array(1),
    new Uint32Array(1),
    new Uint32Array(1),
  ] as const;
  const bad = (at: number) =>
    [table, ...arrays, new Uint8Array(1), new Uint8Array(1), 1].map((value, i) => (i === at ? thing : value));
  for (let at = 0; at < 10; at++) {
    if (thing instanceof Uint8Array && [1, 7, 8].includes(at)) continue; // that is what belongs there
    if (at === 9 && thing === 1) continue;
    attempt(true, `open ${at}`, () => native.open(...(bad(at) as Parameters<typeof native.open>)));
  }
}
assert.ok(
  counts.accepted > CALLS / 3 &&
    counts.refused > 100 &&
    counts.installed > 500 &&
    counts.opened > 100 &&
    counts.linked > 100,
  JSON.stringify(counts),
);
console.log(`packet-crypto: ${CALLS} random calls, no complaint`);
