/** How many slips of the finger (a letter too much, missing, wrong, or two swapped) still mean the same key. */
const MAX_SLIPS = 2;

/**
 * What is wrong with a key that is not `known` in its place. `elsewhere`: keys of the other role in that place.
 */
export function unknownKeyMessage(
  key: string,
  known: readonly string[],
  elsewhere: { readonly role: string; readonly keys: readonly string[] } | undefined,
): string {
  const expected = `expected one of ${known.join(', ')}`;
  if (elsewhere?.keys.includes(key)) return `unknown key (of role ${elsewhere.role} only), ${expected}`;
  const meant = nearest(key, known);
  return meant === undefined
    ? `unknown key, ${expected}`
    : `unknown key (did you mean ${meant}?), ${expected}`;
}

/** The known key that takes the fewest slips to become `key`; undefined: none is near. */
function nearest(key: string, known: readonly string[]): string | undefined {
  // Case and hyphens are how other configurations are written.
  const spelt = key.replaceAll('-', '_').toLowerCase();
  // Of a short key a third may be wrong.
  const near = known
    .map((each) => ({ each, slips: slipsBetween(spelt, each) }))
    .filter(({ each, slips }) => slips <= Math.min(MAX_SLIPS, each.length / 3));
  return near.toSorted((a, b) => a.slips - b.slips)[0]?.each;
}

/** Edit distance with swaps of neighbours (optimal string alignment); more than `MAX_SLIPS` is said without counting. */
function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_SLIPS) return Infinity;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const [left, above, diagonal] = [row[j - 1], last[j], last[j - 1]] as [number, number, number];
      let slips = Math.min(left + 1, above + 1, diagonal + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) slips = Math.min(slips, (before[j - 2] as number) + 1);
      row.push(slips);
    }
    [before, last] = [last, row];
  }
  return last[b.length] as number;
}
