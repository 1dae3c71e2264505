/*
 * GF(2^128) as GCM has it (SP 800-38D section 6.3): a block is four big-endian words, its first bit the coefficient of
 * x^0, and x^128 = 1 + x + x^2 + x^7. Words are signed, which the engine keeps unboxed: several times as fast. Secrets are
 * never an index and never a condition here.
 */
export const FIELD_WORDS = 4;
/** 1 + x + x^2 + x^7 in the first word. */
const REDUCTION = 0xe1000000 | 0;

/** The element 1. */
export const ONE = Int32Array.of(-0x80000000, 0, 0, 0);

/** `a` times `b` into `out`, which may be either. */
export function multiply(a: Int32Array, b: Int32Array, out: Int32Array): void {
  let [z0, z1, z2, z3] = [0, 0, 0, 0];
  let v0 = b[0] as number;
  let v1 = b[1] as number;
  let v2 = b[2] as number;
  let v3 = b[3] as number;
  for (let bit = 0; bit < 128; bit++) {
    const taken = -(((a[bit >>> 5] as number) >>> (31 - (bit & 31))) & 1);
    z0 ^= v0 & taken;
    z1 ^= v1 & taken;
    z2 ^= v2 & taken;
    z3 ^= v3 & taken;
    const carry = -(v3 & 1);
    v3 = (v3 >>> 1) | (v2 << 31);
    v2 = (v2 >>> 1) | (v1 << 31);
    v1 = (v1 >>> 1) | (v0 << 31);
    v0 = (v0 >>> 1) ^ (REDUCTION & carry);
  }
  out[0] = z0;
  out[1] = z1;
  out[2] = z2;
  out[3] = z3;
}

/** What the last four bits of a block leave in its first word when it is multiplied by x^4. */
export function reduced4(lastWord: number): number {
  return (
    (REDUCTION & -((lastWord >>> 3) & 1)) ^
    ((REDUCTION >>> 1) & -((lastWord >>> 2) & 1)) ^
    ((REDUCTION >>> 2) & -((lastWord >>> 1) & 1)) ^
    ((REDUCTION >>> 3) & -(lastWord & 1))
  );
}
