/** Targets are indexes below this, so that a set of them is one 32-bit number and costs no allocation. */
export const MAX_TARGETS = 32;

/** A set of targets: bit i stands for target i. */
export type TargetMask = number;

export const NO_TARGETS: TargetMask = 0;

/** Targets that may be chosen now (they have acknowledged the SA); undefined: all. */
export type EligibleTargets = Pick<ReadonlySet<number>, 'has'> | undefined;

/** The set of this one. Throws `RangeError` for what is no target's index. */
export function maskOf(target: number): TargetMask {
  if (!Number.isInteger(target) || target < 0 || target >= MAX_TARGETS)
    throw new RangeError(`target ${target} is none of 0 to ${MAX_TARGETS - 1}`);
  return 1 << target;
}

export function maskOfAll(targets: Iterable<number>): TargetMask {
  let mask = NO_TARGETS;
  for (const target of targets) mask |= maskOf(target);
  return mask;
}

export function hasTarget(mask: TargetMask, target: number): boolean {
  return target >= 0 && target < MAX_TARGETS && (mask & (1 << target)) !== 0;
}

/** The lowest index in the set, or -1. A loop over a set: `for (let rest = mask; rest !== 0; rest &= rest - 1)` with this. */
export function lowestOf(mask: TargetMask): number {
  return 31 - Math.clz32(mask & -mask);
}

/** Those of `mask` that are eligible. */
export function eligibleOf(mask: TargetMask, eligible: EligibleTargets): TargetMask {
  if (eligible === undefined) return mask;
  let found = NO_TARGETS;
  for (let rest = mask; rest !== 0; rest &= rest - 1) {
    const target = lowestOf(rest);
    if (eligible.has(target)) found |= 1 << target;
  }
  return found;
}

/** As indexes, ascending. For slow paths. */
export function targetsIn(mask: TargetMask): number[] {
  const targets: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) targets.push(lowestOf(rest));
  return targets;
}
