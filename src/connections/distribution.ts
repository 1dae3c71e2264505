/** Targets that may be chosen now (they have acknowledged the SA); undefined: all. */
export type EligibleTargets = ReadonlySet<number> | undefined;

/**
 * A distribution method decides which of the targets of a DVIPA gets a new connection. More methods (least
 * connections, weighted, server-specific) implement the same interface.
 *
 * Only `confirmed` is based on something authenticated; `assigned` comes from packets that anybody may have
 * forged, so what a method derives from it must be bounded and must pass.
 */
export interface DistributionMethod {
  /** A target that serves the DVIPA. Twice is harmless. */
  addTarget(target: number): void;
  removeTarget(target: number): void;
  /** The target for a new connection among the eligible ones, or -1 if there is none. Does not count the choice. */
  choose(eligible: EligibleTargets): number;
  /** A tentative entry was made for the choice; `released` says that it was confirmed or has expired. */
  assigned(target: number): void;
  released(target: number): void;
  /** A target has confirmed a connection that was not confirmed before. */
  confirmed(target: number): void;
}

interface Turns {
  readonly target: number;
  /** Connections confirmed since it joined, on the level of the others at that time. */
  confirmed: number;
  tentative: number;
}

/**
 * Round robin: equal shares of new connections.
 *
 * A pointer that moves with every new connection could be moved by forged packets: by two forged SYNs
 * between the genuine ones, all genuine connections land on one target of three. A pointer that moves on
 * confirmation only gives one target all connections opened within a report round trip. So each target has
 * a count of turns taken (confirmed ones, for good) and of turns promised (tentative ones, until they are
 * confirmed or expire), and the next connection goes to the target with the smallest sum, in the order of
 * joining where sums are equal. With genuine traffic that is the ordinary cycle. Forged packets spread over
 * the targets by the same rule and their promises expire, and what they displaced is made up for by the
 * confirmed counts: at any time they can shift no more connections than the tentative quota, and none in
 * the long run.
 */
export class RoundRobin implements DistributionMethod {
  readonly #turns: Turns[] = [];

  addTarget(target: number): void {
    if (this.#turnsOf(target) !== undefined) return;
    // A newcomer starts level with the least used: it gets its share from now on, not everything.
    const level = this.#turns.length === 0 ? 0 : Math.min(...this.#turns.map((turns) => turns.confirmed));
    this.#turns.push({ target, confirmed: level, tentative: 0 });
  }

  removeTarget(target: number): void {
    const at = this.#turns.findIndex((turns) => turns.target === target);
    if (at >= 0) this.#turns.splice(at, 1);
  }

  choose(eligible: EligibleTargets): number {
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    for (const { target, confirmed, tentative } of this.#turns) {
      if (confirmed + tentative >= fewest || eligible?.has(target) === false) continue;
      fewest = confirmed + tentative;
      best = target;
    }
    return best;
  }

  assigned(target: number): void {
    const turns = this.#turnsOf(target);
    if (turns !== undefined) turns.tentative++;
  }

  released(target: number): void {
    const turns = this.#turnsOf(target);
    if (turns !== undefined) turns.tentative = Math.max(0, turns.tentative - 1);
  }

  confirmed(target: number): void {
    const turns = this.#turnsOf(target);
    if (turns !== undefined) turns.confirmed++;
  }

  #turnsOf(target: number): Turns | undefined {
    return this.#turns.find((turns) => turns.target === target);
  }
}

/**
 * The stateless choice: highest random weight of (connection, target). The same connection always gets the
 * same target as long as that one serves, and the loss of a target moves only its own connections. Used
 * where no entry may be made or none exists. -1 without targets.
 */
export function chooseByHash(
  connectionHash: number,
  targets: readonly number[],
  eligible: EligibleTargets,
): number {
  let best = -1;
  let heaviest = -1;
  for (const target of targets) {
    if (eligible?.has(target) === false) continue;
    const weight = mix(connectionHash ^ Math.imul(target + 1, 0x9e3779b1));
    if (weight <= heaviest) continue;
    heaviest = weight;
    best = target;
  }
  return best;
}

/** Finalizer of MurmurHash3 (32 bits): spreads every input bit; the secret is in the connection hash. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
