import type { OwnerAction } from '../../src/ipsec/numbering-actions.ts';
import {
  type HolderAction,
  NumberingHolder,
  TAKE_FUNNEL,
  TAKE_STAMP,
  TAKE_WAIT,
} from '../../src/ipsec/numbering-holder.ts';
import type { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';
import { IvCounter } from '../../src/ipsec/sender-ids.ts';
import type { EventQueue, Random } from './event-queue.ts';
import type { StampSealer } from '../../src/ipsec/stamp-sealer.ts';
import { PACKET_MS, type Wire } from './numbering-peer.ts';
import { sealForStamp, type StampingLife } from './numbering-stamp.ts';

/** What a target sees of the world. */
export interface TargetWorld {
  readonly random: Random;
  readonly events: EventQueue;
  /** Packets that wait at a target, and in the funnel. */
  readonly queueLimit: number;
  toPeer(wire: Wire, number: number, senderId: number, counter: number): void;
  toFunnel(target: Target, count: number): void;
  toStamper(target: Target, packet: Buffer, epoch: number): void;
  toOwner(target: Target, deliver: (owner: NumberingOwner, now: number) => void): void;
  loseSession(target: Target): void;
}

/** Clocks of hosts differ by a few tens of millionths; by so much, the margins still hold. */
const CLOCK_DRIFT = 0.005;

/** One target: its process (holder, IV counter), its coupling session and its traffic. */
export class Target {
  readonly name: string;
  readonly world: TargetWorld;
  readonly wire: Wire;
  incarnation = 1n;
  isUp = true;
  /** Number of the coupling session; 0 = none. */
  session = 0;
  epochSeen = -1;
  holder = new NumberingHolder();
  iv: IvCounter | undefined;
  /** Of the shared way: the link's, or with stamping the IVs'. */
  linkCounter = 0;
  stamp: StampSealer | undefined;
  queue = 0;
  busyUntil = 0;
  linkFreeAt = 0;
  #timer = Number.POSITIVE_INFINITY;
  /** Its clock goes wrong: how many milliseconds pass on it in one. */
  readonly #rate: number;
  readonly #ahead: number;

  constructor(world: TargetWorld, name: string, wire: Wire) {
    this.world = world;
    this.name = name;
    this.wire = wire;
    this.#rate = 1 + world.random.between(-CLOCK_DRIFT, CLOCK_DRIFT);
    this.#ahead = world.random.between(0, 1e6);
  }

  /** Now, by its own clock. */
  get now(): number {
    return this.world.events.now * this.#rate + this.#ahead;
  }

  offer(packets: number): void {
    this.queue = Math.min(this.queue + packets, this.world.queueLimit);
    this.send();
  }

  send(): void {
    const { now } = this;
    while (this.isUp && this.iv !== undefined && this.queue > 0) {
      const count = Math.min(this.queue, this.holder.available(now) || this.queue, 16);
      const first = this.holder.take(count, now);
      if (first === TAKE_WAIT) break;
      this.queue -= count;
      if (first === TAKE_STAMP) this.#forStamp(count, this.iv);
      else if (first === TAKE_FUNNEL) this.world.toFunnel(this, count);
      else this.#seal(first, count, this.iv);
    }
    this.run();
  }

  /** Carries out the holder's actions, and sets its timer. */
  run(): void {
    for (const action of this.holder.takeActions()) this.#act(action);
    const due = this.holder.deadline();
    if (due >= this.#timer || due === Number.POSITIVE_INFINITY) return;
    this.#timer = due;
    const { holder } = this;
    this.world.events.at((due - this.#ahead) / this.#rate, () => {
      if (holder !== this.holder || !this.isUp) return;
      this.#timer = Number.POSITIVE_INFINITY;
      holder.tick(Math.max(this.now, due));
      this.run();
    });
  }

  /** A record of the routing host, and what of that life comes with a sender id. */
  receive(action: OwnerAction, life: StampingLife): void {
    const { now } = this;
    if (action.kind === 'grant') {
      this.holder.granted(action.lease, action.first, action.count, action.ttlMs, now);
    } else if (action.kind === 'revoke') this.holder.revoked(action.lease, now);
    else if (action.kind === 'way') this.holder.way(action.way, BigInt(this.linkCounter), now);
    else if (action.kind === 'sender-id') {
      if (this.iv?.senderId !== action.senderId) this.iv = new IvCounter(action.senderId);
      if (this.stamp?.epoch !== life.epoch) this.stamp = life.sealer();
    }
    this.send();
  }

  crash(): void {
    this.isUp = false;
    this.world.loseSession(this);
    this.world.events.after(this.world.random.between(1, 300), () => {
      this.incarnation++;
      this.holder = new NumberingHolder();
      this.iv = undefined;
      this.stamp = undefined;
      this.linkCounter = 0;
      this.epochSeen = -1;
      this.isUp = true;
      this.#timer = Number.POSITIVE_INFINITY;
    });
  }

  #seal(first: number, count: number, iv: IvCounter): void {
    const { world, holder } = this;
    const { now } = world.events;
    const counter = iv.take(count);
    // The send call returns when the wire has room, and may stall; what is on the wire is in order.
    const stall = world.random.chance(0.01) ? world.random.between(0, 2) : 0;
    this.busyUntil = Math.max(this.busyUntil, now) + count * PACKET_MS + stall;
    world.events.at(this.busyUntil, () => {
      if (holder !== this.holder || !this.isUp) return; // it died before the call
      for (let i = 0; i < count; i++) world.toPeer(this.wire, first + i, iv.senderId, counter + i);
      holder.sent(count, this.now);
      this.run();
    });
  }

  /** Without a session, or with keys of another life, there is nobody who would stamp: the packets are dropped. */
  #forStamp(count: number, iv: IvCounter): void {
    const { stamp, session, epochSeen } = this;
    if (stamp === undefined || session === 0 || stamp.epoch !== epochSeen) return;
    for (let i = 0; i < count; i++) {
      const packet = sealForStamp(stamp, iv);
      this.linkCounter = iv.last;
      this.world.toStamper(this, packet, stamp.epoch);
    }
  }

  #act(action: HolderAction): void {
    if (action.kind === 'resume') {
      this.world.events.after(0, () => this.send());
      return;
    }
    this.world.toOwner(this, (owner, now) => {
      if (action.kind === 'lease-request') owner.leaseRequest(this.name, action.count, now);
      else if (action.kind === 'lease-return')
        owner.leaseReturn(this.name, action.lease, action.firstUnused, now);
      else owner.flush(this.name, action.counter, now);
    });
  }
}
