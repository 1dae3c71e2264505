/** Numbers that look random and are the same each time (xorshift32). */
let state = 0x2545f491;
export function next(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}
