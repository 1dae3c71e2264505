import type { OwnerAction } from '../../src/ipsec/numbering-actions.ts';
import type { MarkBlocks, Marks } from '../../src/ipsec/numbering-marks.ts';
import type { SharedWay } from '../../src/ipsec/numbering-actions.ts';
import { NumberingOwner } from '../../src/ipsec/numbering-owner.ts';
import { EventQueue, Random } from './event-queue.ts';
import { newWire, PACKET_MS, Peer, type Wire } from './numbering-peer.ts';
import { ivOf, opens, StampingLife } from './numbering-stamp.ts';
import { Target, type TargetWorld } from './numbering-target.ts';

/** Probabilities and rates of one run, drawn from its seed. */
export interface Faults {
  readonly storeFailure: number;
  readonly ownerCrash: number;
  readonly targetCrash: number;
  readonly sessionLoss: number;
  readonly linkLoss: number;
  /** Of a masked packet that it comes once more, changed or not. */
  readonly linkAttack: number;
  /** Calm: little traffic, and packets that take up to 12 ms longer; else much traffic and little jitter. */
  readonly isCalm: boolean;
  readonly jitterMs: number;
  readonly storeMs: number;
  readonly blocks: MarkBlocks;
}

const FAULTS_END = 900;
const TRAFFIC_END = 1200;
const END = 2600;

interface LinkPacket {
  readonly target: Target;
  readonly incarnation: bigint;
  readonly counter: number;
  /** To be stamped; else the funnel's. */
  readonly masked?: { readonly packet: Buffer; readonly epoch: number };
}

/** Routing host, targets, store, wires and peer of one SA, all from one seed. */
export class World implements TargetWorld {
  readonly random: Random;
  readonly events = new EventQueue();
  readonly peer: Peer;
  readonly targets: Target[];
  readonly faults: Faults;
  readonly queueLimit: number;
  readonly rekeys: string[] = [];
  /** Changes of state, `from > to`. */
  readonly arrows = new Set<string>();
  readonly sharedWay: SharedWay;
  readonly allowsExclusive: boolean;
  /** What crossed the cluster for numbers, and what was given: for the message rate. */
  readonly totals = { leaseRecords: 0, stamped: 0, funnelled: 0, refused: 0 };
  owner: NumberingOwner | undefined;
  readonly #wire: Wire;
  #epoch = 0;
  #stored: Marks | undefined;
  #funnelQueue = 0;
  readonly #stampQueue: Buffer[] = [];
  #life: StampingLife;
  #state = '';
  #isPumpDue = false;
  #provokeAt = 0;
  readonly #ingress: LinkPacket[] = [];
  #timer = Number.POSITIVE_INFINITY;
  #sessions = 0;
  /** Per session and direction: when the last record arrives (TCP keeps the order). */
  readonly #arrival = new Map<string, number>();

  constructor(seed: number) {
    this.random = new Random(seed);
    const { random } = this;
    this.peer = new Peer(random.pick([32, 64, 96, 128]));
    this.sharedWay = random.chance(0.5) ? 'stamping' : 'funnel';
    this.allowsExclusive = random.chance(0.9);
    this.#life = new StampingLife(0, (bytes) => random.bytes(bytes));
    const isCalm = random.chance(0.4);
    const upTo = (probability: number) => (random.chance(0.6) ? random.between(0, probability) : 0);
    this.faults = {
      storeFailure: upTo(0.1),
      ownerCrash: upTo(0.006),
      targetCrash: upTo(0.006),
      sessionLoss: upTo(0.01),
      linkLoss: upTo(0.02),
      linkAttack: upTo(0.1),
      isCalm,
      jitterMs: isCalm ? 12 : 0.1,
      storeMs: random.pick([1, 1, 5, 20]),
      blocks: { sequences: random.pick([128, 1024, 8192]), senderIds: random.pick([1, 2, 8]) },
    };
    this.queueLimit = isCalm ? 4 : 4096;
    this.#wire = newWire(random);
    this.targets = Array.from(
      { length: random.integer(1, 4) },
      (_, i) => new Target(this, `target${i + 1}`, newWire(random)),
    );
    this.#startOwner('new');
    for (const target of this.targets) {
      this.#offer(target);
      this.#connect(target);
    }
    this.#breakThings();
  }

  run(): void {
    this.events.runUntil(END);
  }

  /** Packets that nobody could send though everything works again (but for a store that is too slow for them). */
  get stuck(): number {
    if (this.faults.blocks.sequences < 1024) return 0;
    const waiting = this.#funnelQueue + this.#stampQueue.length;
    return this.targets.reduce((sum, target) => sum + target.queue, waiting);
  }

  toPeer(wire: Wire, number: number, senderId: number, counter: number, esp?: Buffer): void {
    this.peer.sealed(number, senderId, counter);
    if (esp !== undefined && this.random.chance(0.05)) this.peer.opened(opens(esp));
    wire.freeAt = Math.max(wire.freeAt, this.events.now) + PACKET_MS;
    this.events.at(wire.freeAt + wire.delay + this.random.between(0, this.faults.jitterMs), () =>
      this.peer.arrived(number),
    );
  }

  /** Packets over the trusted link, to be numbered and sealed by the routing host. */
  toFunnel(target: Target, count: number): void {
    for (let i = 0; i < count; i++) {
      const counter = ++target.linkCounter;
      const { incarnation } = target;
      if (this.random.chance(this.faults.linkLoss)) continue;
      this.events.after(this.random.between(0.1, 0.5), () => {
        this.#ingress.push({ target, incarnation, counter });
        this.#pump();
      });
    }
  }

  /** Masked packets over the trusted link: late, lost, twice, changed, or once more much later. */
  toStamper(target: Target, packet: Buffer, epoch: number): void {
    const { random, faults } = this;
    const { incarnation } = target;
    if (random.chance(faults.linkLoss)) return;
    const arrive = (masked: Buffer, delay: number) => {
      this.events.after(delay, () => {
        this.#ingress.push({ target, incarnation, counter: 0, masked: { packet: masked, epoch } });
        this.#pump();
      });
    };
    target.linkFreeAt = Math.max(target.linkFreeAt, this.events.now) + PACKET_MS;
    arrive(packet, target.linkFreeAt - this.events.now + random.between(0.1, 0.3));
    if (!random.chance(faults.linkAttack)) return;
    const copy = Buffer.from(packet);
    if (random.chance(0.5)) copy[random.integer(0, copy.length - 1)]! ^= 1 << random.integer(0, 7);
    arrive(copy, random.chance(0.5) ? random.between(0, 0.6) : random.between(0, 600));
  }

  /** Link packets, as long as the wire has room: a full send call stops the process, and the rest waits. */
  #pump(): void {
    const { events } = this;
    while (this.#ingress.length > 0 && this.#wire.freeAt <= events.now) {
      const { target, incarnation, counter, masked } = this.#ingress.shift() as LinkPacket;
      const { owner } = this;
      if (owner === undefined) continue;
      if (masked !== undefined) {
        this.#toBeStamped(owner, target, masked);
        continue;
      }
      if (incarnation !== target.incarnation) continue;
      if (owner.sharedArrived(target.name, counter, events.now)) {
        this.#funnelQueue = Math.min(this.#funnelQueue + 1, this.queueLimit);
      }
      this.#drainShared(owner);
      this.#runOwner(owner);
    }
    if (this.#ingress.length === 0 || this.#isPumpDue) return;
    this.#isPumpDue = true;
    events.at(this.#wire.freeAt, () => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  /** As `Stamping` does. What was changed on the link and still is accepted must be noise to the peer. */
  #toBeStamped(
    owner: NumberingOwner,
    target: Target,
    { packet, epoch }: NonNullable<LinkPacket['masked']>,
  ): void {
    const { now } = this.events;
    const counter = this.#life.accept(packet, epoch, owner.senderIdOf(target.name));
    if (counter === 0) this.totals.refused++;
    else if (owner.sharedArrived(target.name, counter, now) && this.#stampQueue.length < this.queueLimit)
      this.#stampQueue.push(packet);
    this.#drainShared(owner);
    this.#runOwner(owner);
  }

  /** A record on the target's session: in order, or lost with the session. */
  toOwner(target: Target, deliver: (owner: NumberingOwner, now: number) => void): void {
    this.#record(target, 'up', () => {
      if (this.owner === undefined) return;
      deliver(this.owner, this.events.now);
      this.#runOwner(this.owner);
    });
  }

  loseSession(target: Target): void {
    if (target.session === 0) return;
    target.session = 0;
    const { owner } = this;
    // The routing host may notice at once (TCP reset) or when heartbeats are missing.
    this.events.after(this.random.chance(0.5) ? 0 : this.random.between(0, 300), () => {
      if (owner === undefined || owner !== this.owner || target.session !== 0) return;
      owner.targetLost(target.name, this.events.now);
      this.#runOwner(owner);
    });
  }

  #record(target: Target, direction: string, deliver: () => void): void {
    const { session } = target;
    if (session === 0) return;
    const key = `${session}${direction}`;
    const at = Math.max(this.#arrival.get(key) ?? 0, this.events.now + this.random.between(0.1, 1));
    this.#arrival.set(key, at);
    this.events.at(at, () => {
      if (target.session === session) deliver();
    });
  }

  #startOwner(origin: 'new' | 'restored'): void {
    const { now } = this.events;
    this.owner = new NumberingOwner({
      origin,
      marks: this.#stored,
      hasEsn: false,
      epoch: ++this.#epoch,
      blocks: this.faults.blocks,
      sharedWay: this.sharedWay,
      allowsExclusive: this.allowsExclusive,
      now,
    });
    this.#funnelQueue = 0;
    this.#stampQueue.length = 0;
    this.#life = new StampingLife(this.#epoch, (bytes) => this.random.bytes(bytes));
    this.#state = this.owner.state.name;
    this.#timer = Number.POSITIVE_INFINITY;
    this.#runOwner(this.owner);
  }

  #runOwner(owner: NumberingOwner): void {
    for (const action of owner.takeActions()) this.#act(owner, action);
    const { name } = owner.state;
    if (name !== this.#state) this.arrows.add(`${this.#state} > ${name}`);
    this.#state = name;
    const due = owner.deadline();
    if (due >= this.#timer || due === Number.POSITIVE_INFINITY) return;
    this.#timer = due;
    this.events.at(due, () => {
      if (owner !== this.owner) return;
      this.#timer = Number.POSITIVE_INFINITY;
      owner.tick(this.events.now);
      this.#runOwner(owner);
    });
  }

  #act(owner: NumberingOwner, action: OwnerAction): void {
    if (action.kind === 'store-marks') this.#put(owner, action.marks);
    else if (action.kind === 'shared-open') this.#drainShared(owner);
    else if (action.kind === 'rekey') this.rekeys.push(action.cause);
    else {
      const target = this.targets.find(({ name }) => name === action.target) as Target;
      const life = this.#life;
      if (action.kind !== 'sender-id') this.totals.leaseRecords++;
      this.#record(target, 'down', () => target.receive(action, life));
    }
  }

  #put(owner: NumberingOwner, marks: Marks): void {
    const fails = this.random.chance(this.faults.storeFailure);
    const persists = !fails || this.random.chance(0.5);
    this.events.after(this.random.between(0.1, this.faults.storeMs), () => {
      if (persists) this.#stored = marks;
    });
    this.events.after(this.faults.storeMs + this.random.between(0, 1), () => {
      if (owner !== this.owner) return;
      if (fails) owner.storeFailed(this.events.now);
      else owner.storeDone(marks, this.events.now);
      this.#runOwner(owner);
    });
  }

  #drainShared(owner: NumberingOwner): void {
    if (this.sharedWay === 'stamping') this.#drainStamped(owner);
    else this.#drainFunnel(owner);
    this.#runOwnerLater(owner);
  }

  #drainStamped(owner: NumberingOwner): void {
    while (this.#stampQueue.length > 0) {
      const number = owner.takeNumbers(1, this.events.now);
      if (number < 0) return;
      const packet = this.#stampQueue.shift() as Buffer;
      const { senderId, counter } = ivOf(packet);
      const esp = this.#life.stamp(packet, number);
      if (esp === undefined) throw new Error('accepted, but not stamped');
      this.totals.stamped++;
      this.toPeer(this.#wire, number, senderId, counter, esp);
    }
  }

  #drainFunnel(owner: NumberingOwner): void {
    while (this.#funnelQueue > 0) {
      const count = Math.min(this.#funnelQueue, 16);
      const first = owner.takeNumbers(count, this.events.now);
      if (first < 0) break;
      this.#funnelQueue -= count;
      const counter = owner.iv?.take(count) ?? Number.NaN;
      const senderId = owner.iv?.senderId ?? Number.NaN;
      this.totals.funnelled += count;
      for (let i = 0; i < count; i++) this.toPeer(this.#wire, first + i, senderId, counter + i);
    }
  }

  #runOwnerLater(owner: NumberingOwner): void {
    this.events.after(0, () => {
      if (owner === this.owner) this.#runOwner(owner);
    });
  }

  /** A session comes (back) a moment after both ends are there: soon, or after a back-off. */
  #connect(target: Target): void {
    const again = this.random.chance(0.5) ? this.random.between(1, 10) : this.random.between(10, 250);
    this.events.after(again, () => this.#connect(target));
    const { owner } = this;
    if (target.session !== 0 || !target.isUp || owner === undefined) return;
    target.session = ++this.#sessions;
    const isNewEpoch = target.epochSeen !== this.#epoch;
    target.epochSeen = this.#epoch;
    target.holder.sessionStarted(isNewEpoch, target.now);
    target.run();
    const { incarnation } = target;
    this.toOwner(target, (current, now) => {
      if (current === owner) owner.targetReady(target.name, incarnation, now);
    });
  }

  /** On and off: small and large bursts, then silence that may be long enough to change the way. */
  #offer(target: Target): void {
    const { isCalm } = this.faults;
    const bulk = !isCalm && this.random.chance(0.2) ? 0.015 : 0;
    const burstEvery = isCalm ? 20 : this.random.pick([1, 4, 20]);
    const pause = this.random.chance(0.6) ? this.random.after(300) : this.random.between(1000, 2000);
    const end = this.events.now + this.random.after(200);
    const burst = () => {
      if (this.events.now > TRAFFIC_END) return;
      target.offer(this.random.chance(bulk) ? this.random.integer(50, 400) : this.random.integer(1, 7));
      const next = this.random.after(burstEvery);
      if (this.events.now + next < end && this.events.now < TRAFFIC_END) this.events.after(next, burst);
      else if (this.events.now < TRAFFIC_END) this.events.after(pause, () => this.#offer(target));
    };
    this.events.after(this.random.after(10), burst);
  }

  #breakThings(): void {
    const { faults, random } = this;
    if (this.events.now > FAULTS_END) return;
    for (const target of this.targets) {
      const { isUp, session } = target;
      if (isUp && random.chance(faults.targetCrash)) target.crash();
      else if (random.chance(faults.sessionLoss)) this.loseSession(target);
      if (isUp !== target.isUp || session !== target.session) this.#provoke();
    }
    if (this.owner !== undefined && random.chance(faults.ownerCrash)) this.#crashOwner();
    this.events.after(1, () => this.#breakThings());
  }

  #crashOwner(): void {
    this.owner = undefined;
    for (const target of this.targets) target.session = 0;
    const isFast = this.random.chance(0.5);
    this.events.after(this.random.between(1, isFast ? 5 : 200), () => this.#startOwner('restored'));
    this.#provoke();
  }

  /** After a fault, everybody wants to send for a while: that is when rules are broken. */
  #provoke(): void {
    if (this.events.now < this.#provokeAt || this.random.chance(0.3)) return;
    this.#provokeAt = this.events.now + 300;
    for (const target of this.targets) {
      const from = this.random.between(0, 60);
      const gap = this.faults.isCalm ? 15 : 2;
      for (let i = 0; i < 20; i++) {
        this.events.after(from + i * gap, () => target.offer(this.random.integer(1, 3)));
      }
    }
  }
}
