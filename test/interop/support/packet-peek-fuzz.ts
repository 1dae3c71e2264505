/**
 * Random calls of the addon packet-crypto's peek, stamper and masker, the same each time, run by scripts/test-addons-asan: arrays of
 * every size, packets anywhere in and around the slab, every shape of SA and shapes that are none. A model says of each call whether
 * it must throw; with DVIPA_FUZZ_MODEL=off only the sanitizers judge. Prints one line if all is well.
 */
import assert from 'node:assert/strict';
import { nativeCrypto } from '../../../src/io/native-crypto.ts';
import type { NativeStamped } from '../../../src/io/native-stamp-tables.ts';

const CALLS = 6000;
const UINT32 = 0xffff_ffff;
const SLOTS = 12;
const SPAN_BYTES = 80;
const LONG_BYTES = 256;
const hasModel = process.env['DVIPA_FUZZ_MODEL'] !== 'off';
const native = nativeCrypto();

/** Numbers that look random and are the same each time (xorshift32). */
let state = 0x2545f491;
function next(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
function oneOf<T>(...values: readonly T[]): T {
  return values[next(values.length)] as T;
}

/** Each in memory of its own, so that a sanitizer sees where it ends. */
const bytes = (length: number) => Buffer.from(new ArrayBuffer(length)).map(() => next(256)) as Buffer;
const codes = (count: number) => Uint8Array.from({ length: count }, (_, i) => i + 10);

const peeks = native.peekCreate(codes(2));
const stampers = native.stamperCreate(codes(6));
const maskers = native.maskerCreate(codes(2));
const peeked = new Set<number>();
/** Bindings whose arrays only the addon has. */
const old: { readonly bound: NativeStamped; readonly count: number }[] = [];
const counts = { accepted: 0, refused: 0, read: 0 };

/** Calls, and compares whether it threw with whether it must; `undefined`: it may. */
function attempt(mustThrow: boolean | undefined, what: string, call: () => unknown): boolean {
  let hasThrown = false;
  try {
    call();
  } catch (error) {
    hasThrown = true;
    assert.equal((error as { code?: string }).code, 'ERR_DVIPA_ARGUMENT', what);
  }
  if (hasModel && mustThrow !== undefined) assert.equal(hasThrown, mustThrow, what);
  counts[hasThrown ? 'refused' : 'accepted']++;
  return !hasThrown;
}

function install(): void {
  const slot = oneOf(next(SLOTS), next(SLOTS), next(SLOTS), UINT32);
  const method = next(5);
  const shape = Uint32Array.of(7, method, oneOf(0, 8, 16), oneOf(8, 12, 16, 32, 65), next(6), next(4));
  if (
    attempt(undefined, 'peekInstall', () =>
      native.peekInstall(peeks, slot, shape, bytes(next(6)), bytes(oneOf(0, 16, 24, 32, 33))),
    )
  )
    peeked.add(slot);
  const stamp = Uint32Array.of(7, 9, 3, oneOf(8, 12, 16, 10, 20), next(3));
  const [link, check] = [bytes(oneOf(16, 16, 16, 15)), bytes(oneOf(16, 16, 16, 17))];
  attempt(undefined, 'stamperInstall', () =>
    native.stamperInstall(stampers, slot, stamp, bytes(oneOf(16, 24, 32, 20)), link, check),
  );
  const mask = Uint32Array.of(9, 3, oneOf(8, 12, 16, 10));
  attempt(undefined, 'maskerInstall', () => native.maskerInstall(maskers, slot, mask, link, check));
}

function remove(): void {
  const slot = oneOf(next(SLOTS), UINT32);
  native.peekRemove(peeks, slot);
  native.stamperRemove(stampers, slot);
  native.maskerRemove(maskers, slot);
  peeked.delete(slot);
}

/** Looks like a packet to be stamped, or to peek into, now and then. */
function fill(slab: Buffer, offset: Uint32Array): void {
  for (const at of offset) {
    if (at + 32 > slab.length) continue;
    if (next(2) === 0) slab.writeUInt32BE(7, at);
    else {
      slab.set([1, next(3), 0, 0, 0, 0, 0, 9], at);
      slab.writeUInt32BE(7, at + 16);
      slab.writeUInt32BE(0, at + 20);
    }
  }
}

function vector() {
  // An empty slab is at address 0: with broken checks the process would die there, and no sanitizer would have said why.
  const slab = bytes(oneOf(hasModel ? 0 : 40, 40, 300, 2000));
  const sizes = Array.from({ length: 9 }, () => (next(16) === 0 ? oneOf(0, 1, 5) : 40));
  const isTidy = next(3) > 0;
  const size = (at: number) => sizes[at] as number;
  const offset = new Uint32Array(size(0)).map(() =>
    isTidy ? next(slab.length + 1) : oneOf(next(slab.length + 20), UINT32, UINT32 - 3),
  );
  const length = new Uint32Array(size(1)).map((_, i) => {
    const rest = Math.max(0, slab.length - (offset[i] ?? 0));
    return isTidy ? oneOf(rest, next(rest + 1)) : oneOf(next(200), rest, UINT32, next(70_000));
  });
  fill(slab, offset);
  const saSlot = new Int32Array(size(2)).map(() =>
    oneOf(next(SLOTS), next(SLOTS), -1, 0x7fffffff, -0x80000000),
  );
  const verdict = new Uint8Array(size(3)).map(() => oneOf(0, 0, 0, 5));
  const count = oneOf(next(42), Math.min(...sizes), Math.min(...sizes), next(8) === 0 ? UINT32 : 1);
  return {
    slab,
    offset,
    length,
    saSlot,
    verdict,
    count,
    size,
    shortest: Math.min(size(0), size(1), size(2), size(3)),
  };
}

function call(): void {
  const { slab, offset, length, saSlot, verdict, count, size, shortest } = vector();
  const arrays = [slab, offset, length, saSlot, verdict] as const;
  const has = (...sizes: readonly number[]) => count <= Math.min(shortest, ...sizes);
  switch (next(4)) {
    case 0: {
      const plain = bytes(size(4) * SPAN_BYTES);
      const [inner, available] = [new Uint32Array(size(5)), new Uint8Array(size(6))];
      attempt(!has(size(4), size(5), size(6)), 'peekDecrypt', () =>
        native.peekDecrypt(native.peekBind(peeks, ...arrays, plain, inner, available), count),
      );
      counts.read += available.filter((n) => n > 0).length;
      break;
    }
    case 1: {
      const [slot, out] = [oneOf(next(SLOTS), UINT32), bytes(oneOf(LONG_BYTES, LONG_BYTES, LONG_BYTES - 1))];
      const mustThrow = peeked.has(slot) && out.length === LONG_BYTES ? undefined : true;
      attempt(mustThrow, 'peekDecryptLong', () =>
        native.peekDecryptLong(peeks, slab, offset[0] ?? 0, length[0] ?? 0, slot, out),
      );
      break;
    }
    case 2: {
      const numbers = [new Uint32Array(size(4)), new Uint32Array(size(5)).map(() => next(9))] as const;
      const senders = new Uint16Array(size(6));
      const bound = native.stamperBind(stampers, ...arrays, ...numbers, senders);
      const mustThrow = !has(size(4), size(5), size(6));
      attempt(mustThrow, 'stamperAccept', () => native.stamperAccept(bound, count, oneOf(3, 4)));
      attempt(mustThrow, 'stamperStamp', () => native.stamperStamp(bound, count));
      // Nobody here has its arrays any more when it is used again: they must be there all the same.
      old.push({ bound, count: mustThrow ? 0 : count });
      if (old.length > 200) {
        const { bound: kept, count: all } = old.shift() as (typeof old)[number];
        attempt(false, 'stamperAccept', () => native.stamperAccept(kept, all, 3));
        attempt(false, 'stamperStamp', () => native.stamperStamp(kept, all));
      }
      break;
    }
    default: {
      const isOutside = offset.some(
        (at, i) => i < count && verdict[i] === 0 && at + (length[i] ?? 0) > slab.length,
      );
      const [traffic, hop, fragment] = [bytes(size(4)), bytes(size(5)), bytes(size(6))];
      attempt(!has(size(4), size(5), size(6)) || isOutside, 'maskerMask', () =>
        native.maskerMask(maskers, ...arrays, count, traffic, hop, fragment),
      );
    }
  }
}

for (let n = 0; n < CALLS; n++) {
  if (n % 1000 === 0) native.instructions((n / 1000) % 3);
  const what = next(10);
  if (what < 2) install();
  else if (what === 2 && next(3) === 0) remove();
  else call();
}
const fit = [
  bytes(60),
  new Uint32Array(1),
  new Uint32Array(1),
  new Int32Array(1),
  new Uint8Array(1),
  new Uint32Array(1),
  new Uint32Array(1),
  new Uint16Array(1),
] as const;
const bound = native.stamperBind(stampers, ...fit);
for (const thing of [undefined, 1, {}, [], stampers, new Uint8Array(4)] as unknown[]) {
  attempt(true, 'peekRemove', () => native.peekRemove(thing as typeof peeks, 0));
  attempt(true, 'stamperAccept', () => native.stamperAccept(thing as typeof bound, 0, 3));
  attempt(thing !== stampers, 'stamperBind', () => native.stamperBind(thing as typeof stampers, ...fit));
  fit.forEach((_, i) => {
    const misfit = fit.map((array, at) => (at === i ? thing : array)) as unknown as typeof fit;
    const isFit = i === 4 && thing instanceof Uint8Array;
    if (i > 0) attempt(!isFit, 'stamperBind', () => native.stamperBind(stampers, ...misfit));
  });
  if (!(thing instanceof Uint8Array))
    attempt(true, 'peekCreate', () => native.peekCreate(thing as Uint8Array));
}
attempt(true, 'peekDecrypt', () => native.peekDecrypt(bound as never, 0));
assert.ok(
  counts.accepted > CALLS / 4 && counts.refused > CALLS / 10 && counts.read > 100,
  JSON.stringify(counts),
);
console.log(`packet-crypto: ${CALLS} random calls of peek and stamping, no complaint`);
