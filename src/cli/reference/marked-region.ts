/** Replaces what is between the line that contains `begin` and the one that contains `end`. Throws unless each is there once, in order. */
export function fillRegion(text: string, begin: string, end: string, content: string): string {
  const lines = text.split('\n');
  const [from, to] = [placeOf(lines, begin), placeOf(lines, end)];
  if (from > to) throw new Error(`"${end}" stands before "${begin}"`);
  return [...lines.slice(0, from + 1), '', content.trim(), '', ...lines.slice(to)].join('\n');
}

function placeOf(lines: readonly string[], mark: string): number {
  const places = lines.flatMap((line, i) => (line.includes(mark) ? [i] : []));
  if (places.length !== 1) throw new Error(`expected one line with "${mark}", found ${places.length}`);
  return places[0] as number;
}
