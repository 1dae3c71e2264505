import { KEEP } from '../../src/base/verdict.ts';
import { packNumbers } from '../../src/coupling/records.ts';
import { DispatchFloor } from '../../src/dataplane/dispatch-floor.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { RingPool } from '../../src/ipsec/unsettled-ring.ts';
import { mergeSnapshots } from '../../src/ipsec/replay-snapshot.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';
import { EventQueue, Random } from './event-queue.ts';

const REPORT_MS = 5;
const FAULTS_END = 300;
const END = 500;

interface Packet {
  readonly number: number;
  /** Its ICV is right. */
  readonly isGenuine: boolean;
}

export interface InboundFaults {
  readonly replay: number;
  readonly forge: number;
  readonly targetDeath: number;
  readonly sessionLoss: number;
  readonly linkLoss: number;
  readonly linkDuplicate: number;
  /** Slower than a reporting interval: the floor passes such a dispatch. */
  readonly slowLink: number;
  /** The peek names another target than for the packet before. */
  readonly moveFlow: number;
}

/** One target process: window, dispatch floor, numbers not reported yet. */
class Target {
  readonly index: number;
  incarnation = 0;
  isUp = true;
  hasSession = true;
  session = 1;
  window: ReplayWindow;
  floor = new DispatchFloor();
  committed: bigint[] = [];
  isReportDue = false;
  /** When the last record arrives: the channel keeps the order. */
  channelAt = 0;

  constructor(index: number, window: ReplayWindow) {
    this.index = index;
    this.window = window;
  }
}

/** A peer, an adversary who sees and sends everything, a routing host and its targets on one inbound SA. */
export class InboundWorld {
  readonly random: Random;
  readonly events = new EventQueue();
  readonly faults: InboundFaults;
  readonly owners: InboundOwners;
  readonly targets: Target[];
  readonly violations: string[] = [];
  readonly delivered = new Set<number>();
  readonly #windowPackets: number;
  readonly #seen: number[] = [];
  readonly #dispatches: number[];
  sent = 0;
  refusedReports = 0;
  #target = 0;

  constructor(seed: number, isHostile: boolean) {
    this.random = new Random(seed);
    const { random } = this;
    const upTo = (probability: number) =>
      isHostile && random.chance(0.7) ? random.between(0, probability) : 0;
    this.faults = {
      replay: random.between(0, 0.5),
      forge: upTo(0.5),
      targetDeath: upTo(0.01),
      sessionLoss: upTo(0.01),
      linkLoss: upTo(0.05),
      linkDuplicate: random.between(0, 0.1),
      slowLink: upTo(0.05),
      moveFlow: random.pick([0.01, 0.2, 1]),
    };
    this.#windowPackets = random.pick([32, 64, 128, 1024]);
    this.owners = new InboundOwners(
      this.#windowPackets,
      new RingPool({ slots: isHostile ? random.pick([128, 1024, 4096]) : 4096 }),
    );
    const count = random.integer(1, 4);
    this.targets = Array.from({ length: count }, (_, i) => new Target(i, this.#newWindow()));
    this.#dispatches = this.targets.map(() => 0);
    this.#send();
    this.#attack();
    this.#breakThings();
  }

  run(): void {
    this.events.runUntil(END);
  }

  /** Genuine packets come in order, but for a little jitter. */
  #send(): void {
    if (this.events.now > FAULTS_END) return;
    const number = ++this.sent;
    this.#seen.push(number);
    this.events.after(this.random.between(0, 0.2), () => this.#arrived({ number, isGenuine: true }));
    this.events.after(this.random.after(0.1), () => this.#send());
  }

  /** Copies of anything ever sent, at any time; forged packets with any number, also ahead of the genuine one. */
  #attack(): void {
    const { random, faults, events } = this;
    if (events.now > END - 100) return;
    if (this.#seen.length > 0 && random.chance(faults.replay)) {
      const recent = this.#seen[Math.max(0, this.#seen.length - random.integer(1, 200))] as number;
      const number = random.chance(0.8) ? recent : random.pick(this.#seen);
      events.after(random.after(5), () => this.#arrived({ number, isGenuine: true }));
    }
    if (random.chance(faults.forge)) {
      const ahead = random.chance(0.9) ? random.integer(-50, 200) : random.integer(0, 2 ** 31);
      this.#arrived({ number: Math.max(1, this.sent + ahead), isGenuine: false });
    }
    events.after(random.after(0.2), () => this.#attack());
  }

  /** The routing host's steps on one packet. */
  #arrived(packet: Packet): void {
    const { random, owners } = this;
    if (random.chance(this.faults.moveFlow)) this.#target = random.integer(0, this.targets.length - 1);
    const target = this.targets[this.#target] as Target;
    if (!target.hasSession || !owners.check(0, packet.number)) return;
    const dispatch = (this.#dispatches[target.index] as number) + 1;
    this.#dispatches[target.index] = dispatch;
    if (owners.decide(0, packet.number, target.index, dispatch) !== KEEP) return;
    const { incarnation } = target;
    const copies = random.chance(this.faults.linkLoss) ? 0 : random.chance(this.faults.linkDuplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = random.chance(this.faults.slowLink) ? random.between(0, 15) : random.between(0.1, 1);
      this.events.after(delay, () => {
        if (target.isUp && target.incarnation === incarnation) this.#handle(target, packet, dispatch);
      });
    }
  }

  /** A target's steps on one dispatch. */
  #handle(target: Target, { number, isGenuine }: Packet, dispatch: number): void {
    this.#armReport(target);
    if (!target.floor.accept(dispatch) || !target.window.check(0, number) || !isGenuine) return;
    if (!target.window.commit(0, number)) return;
    if (this.delivered.has(number)) this.violations.push(`number ${number} delivered twice`);
    this.delivered.add(number);
    target.committed.push(BigInt(number));
  }

  #armReport(target: Target): void {
    if (target.isReportDue) return;
    target.isReportDue = true;
    const { incarnation } = target;
    this.events.after(REPORT_MS, () => {
      if (target.incarnation !== incarnation) return;
      target.isReportDue = false;
      if (!target.hasSession) return;
      const floor = target.floor.advance();
      const numbers = packNumbers(target.committed);
      target.committed = [];
      this.#record(target, () => {
        this.refusedReports += this.owners.reported(target.index, numbers, Number(floor)).refused;
      });
      if (target.floor.isBehind) this.#armReport(target);
    });
  }

  #record(target: Target, deliver: () => void): void {
    const { session } = target;
    target.channelAt = Math.max(target.channelAt, this.events.now + this.random.between(0.1, 3));
    this.events.at(target.channelAt, () => {
      if (target.hasSession && target.session === session) deliver();
    });
  }

  #breakThings(): void {
    const { random, faults, events } = this;
    if (events.now > FAULTS_END) return;
    for (const target of this.targets) {
      if (!target.hasSession) continue;
      const dies = random.chance(faults.targetDeath);
      if (dies) target.isUp = false;
      if (dies || random.chance(faults.sessionLoss)) this.#lose(target);
    }
    events.after(1, () => this.#breakThings());
  }

  /** The session ends; the target may live on and handle what is on its way to it. */
  #lose(target: Target): void {
    target.hasSession = false;
    target.session++;
    this.owners.targetLost(target.index);
    this.events.after(this.random.between(1, 30), () => {
      if (target.isUp) {
        this.owners.merge(target.window.snapshot());
        target.window.restore(mergeSnapshots(target.window.snapshot(), this.owners.snapshot()));
      } else {
        target.incarnation++;
        target.isUp = true;
        target.isReportDue = false;
        target.floor = new DispatchFloor();
        target.window = this.#newWindow();
        target.window.restore(this.owners.snapshot());
      }
      target.committed = [];
      target.hasSession = true;
    });
  }

  /** Wider than the SA's own by what one report round trip carries. */
  #newWindow(): ReplayWindow {
    return new ReplayWindow(this.#windowPackets + 4096);
  }
}
