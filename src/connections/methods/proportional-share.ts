import {
  hasTarget,
  lowestOf,
  MAX_TARGETS,
  maskOf,
  NO_TARGETS,
  type TargetMask,
  targetsIn,
} from '../target-mask.ts';
import type { DistributionMethod, TargetCounts } from './distribution-method.ts';
import { EQUAL_WEIGHTS, weightColumn, type Weights } from './weights.ts';

/** One connection, in the unit of the credits: so fine that one share of 32 targets' weights is still a whole number. */
const CONNECTION = 2 ** 32;
/**
 * A target never has, or owes, more than these connections. Far more than forged packets of one SA group can displace (its quota of
 * tentative entries); it bounds the burst for a target that was ineligible for long, say because it has refused an SA.
 */
const MAX_CREDIT = 1024 * CONNECTION;
const MAX_BUSY = 1000;

/**
 * Round robin with weights (`round-robin`), and the same with weights that follow the targets' load (`server-load`): new connections
 * are shared out in proportion to the weights. A stride scheduler in the form of smooth weighted round robin.
 *
 * A pointer that moves with every new connection could be moved by forged packets: by two forged SYNs between the genuine ones,
 * all genuine connections land on one target of three. A pointer that moves on confirmation only gives one target all connections
 * opened within a report round trip. So each target has a *credit*: every confirmed connection entitles all candidates for it to
 * their share of one connection, and costs the one that has it a whole one. A choice looks at the credits as they would be with
 * all promised (tentative) connections confirmed, and takes the largest. With genuine traffic that is the ordinary cycle.
 *
 * Unauthenticated packets only ever add promises, and these expire; turns are taken on confirmation only. So what forged packets
 * displace is made up for: at any time they can shift no more connections than the tentative quota, and none in the long run.
 * Who is no candidate (does not listen, is drained) gains nothing and owes nothing, so a newcomer starts level with the others:
 * it gets its share from now on, not everything.
 */
export class ProportionalShare implements DistributionMethod {
  readonly isStateless = false;
  readonly #credit = new Float64Array(MAX_TARGETS);
  readonly #given: Float64Array;
  readonly #weight: Float64Array;
  readonly #followsLoad: boolean;
  #targets: TargetMask = NO_TARGETS;

  /** `followsLoad`: server load. A target's weight is then its given one times max(1, 1000 - busy per mille). */
  constructor(weights: Weights = EQUAL_WEIGHTS, followsLoad = false) {
    this.#given = weightColumn(weights);
    this.#weight = this.#given.slice();
    this.#followsLoad = followsLoad;
    for (let target = 0; target < MAX_TARGETS; target++) this.setLoad(target, 0);
  }

  addTarget(target: number): void {
    if (hasTarget(this.#targets, target)) return;
    this.#targets |= maskOf(target);
    this.#credit[target] = 0;
    this.#level();
  }

  removeTarget(target: number): void {
    if (!hasTarget(this.#targets, target)) return;
    this.#targets &= ~maskOf(target);
    this.setLoad(target, 0); // a report of its next life will say
    this.#level();
  }

  choose(candidates: TargetMask, { tentative }: TargetCounts): number {
    const weights = this.#weightOf(candidates);
    const cost = this.#costOf(candidates, weights);
    let promised = 1;
    for (let rest = candidates; rest !== 0; rest &= rest - 1) promised += tentative[lowestOf(rest)] as number;
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let rest = candidates; rest !== 0; rest &= rest - 1) {
      const target = lowestOf(rest);
      const entitled = promised * this.#entitlement(target, weights);
      const credit = (this.#credit[target] as number) + entitled - (tentative[target] as number) * cost;
      if (credit <= most) continue;
      most = credit;
      best = target;
    }
    return best;
  }

  confirmed(target: number, candidates: TargetMask): void {
    if (!hasTarget(candidates, target)) return;
    const weights = this.#weightOf(candidates);
    for (let rest = candidates; rest !== 0; rest &= rest - 1) {
      const each = lowestOf(rest);
      this.#add(each, this.#entitlement(each, weights));
    }
    this.#add(target, -this.#costOf(candidates, weights));
  }

  setLoad(target: number, busyPerMille: number): void {
    if (!this.#followsLoad) return;
    const idle = Math.max(1, MAX_BUSY - busyPerMille);
    this.#weight[target] = (this.#given[target] as number) * idle;
  }

  /** A candidate's share of one connection, rounded down. */
  #entitlement(target: number, weights: number): number {
    return Math.floor(((this.#weight[target] as number) * CONNECTION) / weights);
  }

  /** What a connection costs: what all candidates together are given for it, so that nothing is lost by rounding. */
  #costOf(candidates: TargetMask, weights: number): number {
    let sum = 0;
    for (let rest = candidates; rest !== 0; rest &= rest - 1)
      sum += this.#entitlement(lowestOf(rest), weights);
    return sum;
  }

  #weightOf(candidates: TargetMask): number {
    let sum = 0;
    for (let rest = candidates; rest !== 0; rest &= rest - 1) sum += this.#weight[lowestOf(rest)] as number;
    return sum;
  }

  #add(target: number, credit: number): void {
    const sum = (this.#credit[target] as number) + credit;
    this.#credit[target] = Math.min(MAX_CREDIT, Math.max(-MAX_CREDIT, sum));
  }

  /** Nobody's credit changes against another's, and their mean is 0: where a newcomer starts. */
  #level(): void {
    const targets = targetsIn(this.#targets);
    const mean = targets.reduce((sum, target) => sum + (this.#credit[target] as number), 0) / targets.length;
    for (const target of targets) this.#credit[target] = (this.#credit[target] as number) - Math.floor(mean);
  }
}
