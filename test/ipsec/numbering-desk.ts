import { expect } from 'chai';
import type { NumberingOwnerOptions, OwnerAction } from '../../src/ipsec/numbering-actions.ts';
import type { Marks } from '../../src/ipsec/numbering-marks.ts';
import { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';

export type Ways = Pick<NumberingOwnerOptions, 'sharedWay' | 'allowsExclusive'>;

export const FUNNEL_OR_EXCLUSIVE: Ways = { sharedWay: 'funnel', allowsExclusive: true };
export const STAMPING_OR_EXCLUSIVE: Ways = { sharedWay: 'stamping', allowsExclusive: true };

/** An owner whose store answers at once, unless `holdStore`; actions are collected, stores left out. */
export class Desk {
  readonly owner: NumberingOwner;
  readonly actions: OwnerAction[] = [];
  readonly stored: Marks[] = [];
  holdStore = false;
  now: number;

  constructor(
    origin: 'new' | 'restored' = 'new',
    marks?: Marks,
    hasEsn = false,
    now = 1000,
    { sharedWay, allowsExclusive }: Ways = FUNNEL_OR_EXCLUSIVE,
  ) {
    this.now = now;
    this.owner = new NumberingOwner({ origin, marks, hasEsn, epoch: 1, now, sharedWay, allowsExclusive });
    this.settle();
  }

  settle(): void {
    for (let actions = this.owner.takeActions(); actions.length > 0; actions = this.owner.takeActions()) {
      for (const action of actions) {
        if (action.kind !== 'store-marks') this.actions.push(action);
        else {
          this.stored.push(action.marks);
          if (!this.holdStore) this.owner.storeDone(action.marks, this.now);
        }
      }
    }
  }

  /** Runs an input `ms` later and returns what it led to. */
  do(ms: number, input: (owner: NumberingOwner, now: number) => unknown): OwnerAction[] {
    for (let due = this.owner.deadline(); due < this.now + ms; due = this.owner.deadline()) {
      const end = this.now + ms;
      ms = end - due;
      this.now = due;
      this.owner.tick(due);
      this.settle();
    }
    this.now += ms;
    input(this.owner, this.now);
    this.settle();
    return this.actions.splice(0);
  }

  wait(ms: number): OwnerAction[] {
    return this.do(ms, (owner, now) => owner.tick(now));
  }

  ready(...targets: string[]): OwnerAction[] {
    return targets.flatMap((target) => this.do(0, (owner, now) => owner.targetReady(target, 1n, now)));
  }

  request(target: string, count = 64, ms = 0): OwnerAction[] {
    return this.do(ms, (owner, now) => owner.leaseRequest(target, count, now));
  }

  /** With a target `a` that holds a lease of 64 numbers from 1. */
  static exclusive(ways?: Ways): { desk: Desk; lease: number } {
    const desk = new Desk('new', undefined, false, 1000, ways);
    desk.ready('a', 'b');
    const [grant] = desk.request('a');
    return { desk, lease: (grant as OwnerAction & { kind: 'grant' }).lease };
  }

  /** With `a` and `b` active on the shared way (the funnel, if nothing else is said); the next number is 11. */
  static shared(ways?: Ways): Desk {
    const { desk, lease } = Desk.exclusive(ways);
    desk.request('b');
    desk.do(1, (owner, now) => owner.leaseReturn('a', lease, 11n, now));
    desk.wait(5);
    expect(desk.owner.state.name).equal('shared');
    return desk;
  }
}
