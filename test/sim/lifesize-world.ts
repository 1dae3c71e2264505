import { CreditPercentage } from '../../src/ipsec/credit-percentage.ts';
import { type LifesizeCredit, LifesizeMeter, type LifesizeReport } from '../../src/ipsec/lifesize-meter.ts';
import { type LifesizeAction, LifesizeOwner } from '../../src/ipsec/lifesize-owner.ts';
import { encodeSaState, parseSaState } from '../../src/store/state-codec.ts';
import { EventQueue, Random } from './event-queue.ts';

const TICK_MS = 40;
const LOOK_MS = 100;
/** Packets that a target handles at once. */
const BATCH = 64;
const HOSTS = ['a', 'b', 'c', 'd'] as const;

/** What a run is like; drawn from the seed unless the test says so. */
export interface WorldOptions {
  readonly generations?: number;
  /** From the request to the outbound switch, each time: milliseconds. */
  readonly rekeyMs?: (random: Random) => number;
  readonly isPeaceful?: boolean;
  readonly gap?: number;
}

/** One SA: its limits hold for the packets that all targets, in all their lives, have sealed. */
interface SaTruth {
  readonly id: number;
  bytes: number;
  packets: number;
  state: Buffer | undefined;
  rekeysAsked: number;
  /** Owner lives of it: each may ask once more. */
  owners: number;
  askedAt: number | undefined;
  /** The p99 that the owner reckoned with when it asked. */
  reckonedMs: number;
  rekeyTakes: number;
  isOver: boolean;
}

interface Target {
  readonly host: string;
  incarnation: bigint;
  isUp: boolean;
  /** 0: none. Records of other sessions are lost. */
  session: number;
  meter: LifesizeMeter | undefined;
  /** The SA that the meter is of. */
  sa: number;
  packetsPerTick: number;
}

/**
 * Targets and the owner of one SA after the other, over a network with delay, with a store, lost sessions and crashes of all of
 * them. The machines are the real ones; what they must not do is written down in `violations`.
 */
export class LifesizeWorld {
  readonly violations: string[] = [];
  readonly credit: CreditPercentage;
  hardExpiries = 0;
  /** Of those: the rekey was within the p99 that was known, and nothing had crashed. */
  unexcusedExpiries = 0;
  messages = 0;
  packets = 0;
  crashes = 0;
  /** Moments in which the limits left no room for credits and reserve: the rekey was asked for earlier instead. */
  tightMoments = 0;
  moments = 0;
  readonly #random: Random;
  readonly #queue = new EventQueue();
  readonly #targets: Target[];
  readonly #hard: number;
  readonly #soft: number;
  readonly #packetBytes: number;
  readonly #delayMs: number;
  readonly #options: WorldOptions;
  readonly #isPeaceful: boolean;
  readonly #rekeyMs: (random: Random) => number;
  #owner: LifesizeOwner | undefined;
  #percentage = 10;
  #sa: SaTruth;
  #sessions = 0;
  /** Until then a restarted owner waits for targets that have credit of its earlier life. */
  #awaitsUntil = 0;
  #generations = 0;

  constructor(seed: number, options: WorldOptions = {}) {
    const random = new Random(seed);
    this.#random = random;
    this.#options = options;
    this.#isPeaceful = options.isPeaceful ?? random.chance(0.3);
    this.#hard = Math.round(random.between(5e6, 40e6));
    this.#soft = Math.round(this.#hard * (1 - (options.gap ?? random.between(0.05, 0.5))));
    this.#packetBytes = random.integer(200, 1400);
    this.#delayMs = random.between(0.2, 20);
    const usual = random.chance(0.7) ? random.between(20, 300) : random.between(500, 4000);
    this.#rekeyMs = options.rekeyMs ?? ((r) => usual * r.between(0.7, 1.3));
    this.#percentage = random.between(1, 40);
    this.credit = new CreditPercentage(this.#percentage);
    // The SA lasts several times the time of a rekey, or nothing could be in time.
    const packetsPerMs = this.#hard / this.#packetBytes / random.between(2500, 5000);
    const count = random.integer(1, HOSTS.length);
    const shares = Array.from({ length: count }, () => random.between(0.1, 1));
    const whole = shares.reduce((sum, share) => sum + share, 0);
    this.#targets = HOSTS.slice(0, count).map((host, i) => ({
      host,
      incarnation: 1n,
      isUp: true,
      session: 0,
      meter: undefined,
      sa: -1,
      packetsPerTick: Math.max(1, Math.round((packetsPerMs * TICK_MS * (shares[i] as number)) / whole)),
    }));
    this.#sa = this.#newSa(0);
  }

  run(): void {
    const { generations = 2 } = this.#options;
    for (const target of this.#targets)
      this.#queue.after(this.#random.between(0, TICK_MS), () => this.#send(target));
    for (const target of this.#targets)
      this.#queue.after(this.#random.between(0, LOOK_MS), () => this.#look(target));
    this.#queue.after(1000, () => this.#ownerTick());
    this.#startOwner();
    if (!this.#isPeaceful) this.#queue.after(this.#random.after(1500), () => this.#mishap());
    while (this.#generations < generations && this.#queue.now < 120_000 && this.violations.length === 0) {
      this.#queue.runUntil(this.#queue.now + 500);
    }
  }

  #newSa(id: number): SaTruth {
    return {
      id,
      bytes: 0,
      packets: 0,
      state: undefined,
      rekeysAsked: 0,
      owners: 0,
      askedAt: undefined,
      reckonedMs: 0,
      rekeyTakes: 0,
      isOver: false,
    };
  }

  #startOwner(): void {
    const sa = this.#sa;
    sa.owners++;
    const lifetime = { bytes: { soft: this.#soft, hard: this.#hard }, packets: { soft: 0, hard: 0 } };
    if (sa.owners > 1) this.#awaitsUntil = this.#queue.now + 3000;
    const kept = sa.state === undefined ? undefined : parseSaState(sa.state);
    this.#owner = new LifesizeOwner({
      lifetime,
      percentage: this.credit.percentage,
      rekeyMs: this.credit.rekeyMs,
      now: this.#queue.now,
      users: this.#targets.length,
      jitter: this.#random.next(),
      isRestored: sa.owners > 1,
      marks: kept?.lifesize,
    });
    for (const target of this.#targets) if (target.isUp) this.#open(target);
  }

  /** Carries out what the owner wants. */
  #act(): void {
    const [owner, sa] = [this.#owner, this.#sa];
    if (owner === undefined) return;
    for (const action of owner.takeActions()) this.#carryOut(owner, sa, action);
    this.#check(owner, sa);
  }

  #carryOut(owner: LifesizeOwner, sa: SaTruth, action: LifesizeAction): void {
    switch (action.kind) {
      case 'store-marks': {
        const state = encodeSaState({ lifesize: action.marks });
        this.#queue.after(this.#random.between(0.1, 4), () => {
          const fails = this.#random.chance(this.#isPeaceful ? 0 : 0.02);
          // A write of a dead owner may have arrived or not; of two that did, the later one stays.
          if (this.#owner !== owner && this.#random.chance(0.5)) return;
          if (this.#owner === owner || sa.owners === 1)
            if (!fails || this.#random.chance(0.5)) sa.state = state;
          if (this.#owner !== owner) return;
          if (fails) owner.storeFailed(this.#queue.now);
          else owner.storeDone(this.#queue.now);
          this.#act();
        });
        break;
      }
      case 'credit':
        this.#grant(sa, action);
        break;
      case 'rekey':
        this.#rekey(owner, sa);
        break;
      case 'expire':
        this.#expired(sa);
        break;
    }
  }

  #grant(sa: SaTruth, { target: host, bytes, packets }: LifesizeCredit & { target: string }): void {
    const target = this.#targets.find((one) => one.host === host) as Target;
    const { session } = target;
    this.messages++;
    this.#queue.after(this.#delayMs, () => {
      if (target.session !== session || !target.isUp || sa !== this.#sa) return;
      if (target.sa === sa.id) target.meter?.granted({ bytes, packets });
      else {
        target.sa = sa.id;
        target.meter = new LifesizeMeter({ bytes, packets }, { hardBytes: this.#hard, hardPackets: 0 });
      }
    });
  }

  #rekey(owner: LifesizeOwner, sa: SaTruth): void {
    sa.rekeysAsked++;
    if (sa.rekeysAsked > sa.owners && sa.rekeyTakes < 9000)
      this.#violation(`${sa.rekeysAsked} rekeys asked for`);
    if (sa.askedAt !== undefined) return; // charon is at it
    sa.askedAt = this.#queue.now;
    sa.reckonedMs = owner.rekeyMs;
    sa.rekeyTakes = this.#rekeyMs(this.#random);
    this.#queue.after(sa.rekeyTakes, () => this.#switch(sa));
  }

  #switch(sa: SaTruth): void {
    if (sa.isOver) return;
    sa.isOver = true;
    this.#owner?.replaced();
    const total = this.#owner?.charged.bytes ?? sa.bytes;
    const inTimeBelow = this.#soft + (this.#hard - this.#soft) / 2;
    const use = {
      direction: 'out',
      unit: 'bytes',
      soft: this.#soft,
      hard: this.#hard,
      total,
      inTimeBelow,
    } as const;
    this.credit.switched({ uses: [use], rekeyMs: sa.rekeyTakes, now: this.#queue.now });
    this.#next();
  }

  #expired(sa: SaTruth): void {
    if (sa.isOver) return;
    sa.isOver = true;
    this.hardExpiries++;
    if (this.#isPeaceful && sa.rekeyTakes <= sa.reckonedMs) this.unexcusedExpiries++;
    const total = sa.bytes;
    this.credit.hardLimitMet(
      { direction: 'out', unit: 'bytes', soft: this.#soft, hard: this.#hard, total, inTimeBelow: 0 },
      this.#queue.now,
    );
    this.#next();
  }

  #next(): void {
    this.#generations++;
    this.#sa = this.#newSa(this.#sa.id + 1);
    for (const target of this.#targets) target.session = 0;
    if (this.#owner !== undefined) this.#startOwner();
  }

  /** A session with the owner begins: the account, then what the target tells at once. */
  #open(target: Target): void {
    target.session = ++this.#sessions;
    this.#owner?.targetReady(target.host, target.incarnation, this.#queue.now);
    this.#act();
    if (target.sa === this.#sa.id && target.meter !== undefined) {
      this.#report(target, target.meter.current(this.#queue.now));
    }
  }

  #send(target: Target): void {
    this.#queue.after(TICK_MS, () => this.#send(target));
    const { meter } = target;
    if (!target.isUp || meter === undefined || target.sa !== this.#sa.id || this.#sa.isOver) return;
    for (let left = target.packetsPerTick; left > 0; left -= BATCH) {
      const count = Math.min(left, BATCH);
      if (!meter.count(count, count * this.#packetBytes)) break;
      this.#sa.bytes += count * this.#packetBytes;
      this.#sa.packets += count;
      this.packets += count;
      if (meter.isDue) this.#report(target, meter.current(this.#queue.now));
    }
    if (meter.isDue) this.#report(target, meter.current(this.#queue.now));
    if (this.#sa.bytes > this.#hard) this.#violation('the hard limit was passed');
  }

  #look(target: Target): void {
    this.#queue.after(LOOK_MS, () => this.#look(target));
    if (!target.isUp || target.sa !== this.#sa.id || target.session === 0) return;
    const report = target.meter?.report(this.#queue.now);
    if (report !== undefined) this.#report(target, report);
  }

  #report(target: Target, report: LifesizeReport): void {
    const { session, host, sa } = target;
    if (session === 0 || this.#owner === undefined) return;
    this.messages++;
    this.#queue.after(this.#delayMs, () => {
      if (target.session !== session || this.#owner === undefined || sa !== this.#sa.id) return;
      if (!this.#owner.reported(host, report, this.#queue.now))
        this.#violation('an honest report was refused');
      this.#act();
    });
  }

  #ownerTick(): void {
    this.#queue.after(1000, () => this.#ownerTick());
    this.#owner?.tick(this.#queue.now);
    this.#act();
  }

  #mishap(): void {
    const random = this.#random;
    this.#queue.after(random.after(1500), () => this.#mishap());
    this.crashes++;
    const target = random.pick(this.#targets);
    const what = random.integer(0, 2);
    if (what === 0) this.#restartOwner();
    else if (what === 1 && target.isUp) this.#restartTarget(target);
    else if (target.isUp && target.session !== 0) {
      this.#close(target);
      this.#queue.after(random.between(20, 800), () => {
        if (target.isUp && target.session === 0 && this.#owner !== undefined) this.#open(target);
      });
    }
  }

  #restartOwner(): void {
    if (this.#owner === undefined) return;
    this.#owner = undefined;
    for (const target of this.#targets) target.session = 0;
    this.#queue.after(this.#random.between(50, 1000), () => this.#startOwner());
  }

  #restartTarget(target: Target): void {
    this.#close(target);
    target.isUp = false;
    target.meter = undefined;
    target.sa = -1;
    target.incarnation++;
    this.#queue.after(this.#random.between(50, 1500), () => {
      target.isUp = true;
      if (this.#owner !== undefined) this.#open(target);
    });
  }

  #close(target: Target): void {
    if (target.session === 0) return;
    target.session = 0;
    this.#owner?.targetLost(target.host, this.#queue.now);
    this.#act();
  }

  #check(owner: LifesizeOwner, sa: SaTruth): void {
    if (owner !== this.#owner || sa !== this.#sa) return;
    const [charged, open] = [owner.bytes.charged, owner.bytes.open];
    if (owner.totals(0).bytes > sa.bytes) this.#violation('something was counted twice');
    if (charged + open < sa.bytes)
      this.#violation(`${sa.bytes - charged - open} bytes count against no limit`);
    if (charged + open > this.#hard) this.#violation('more credit than the hard limit');
    this.moments++;
    const reserve = owner.reserve.bytes;
    if (open + reserve <= this.#hard - this.#soft) return;
    this.tightMoments++;
    const isEarly = charged < this.#soft / 2 || this.#queue.now <= this.#awaitsUntil + 1000;
    if (charged + open + reserve >= this.#hard && sa.askedAt === undefined && !isEarly) {
      this.#violation('credits and reserve do not fit below the hard limit, and no rekey was asked for');
    }
  }

  #violation(what: string): void {
    if (this.violations.length < 5) this.violations.push(`${what}, at ${this.#queue.now.toFixed(1)} ms`);
  }
}
