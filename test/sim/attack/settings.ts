import type { Random } from '../event-queue.ts';
import type { Hostility } from './adversary.ts';

const ESN_START = 2n ** 32n - 40n;

/** What one run is like, drawn from its seed. */
export class Settings {
  /** Nothing dies and nothing is lost inside the cluster; then no genuine packet may be lost either. */
  readonly isCalm: boolean;
  /** The budget for opening is enough for every packet of the run. */
  readonly isBudgetAmple: boolean;
  readonly hasEsn: boolean;
  /** Of the first genuine packet. With ESN the high half comes soon. */
  readonly firstNumber: bigint;
  readonly windowPackets: number;
  readonly peers: number;
  readonly targets: number;
  readonly jitterMs: number;
  readonly linkLoss: number;
  /** Per millisecond and host. */
  readonly deaths: number;
  readonly ringSlots: number;
  readonly rings: number;
  readonly perSecond: number;
  readonly tentativePerGroup: number;
  readonly hostility: Hostility;

  constructor(random: Random) {
    this.isCalm = random.chance(0.6);
    this.isBudgetAmple = random.chance(0.9);
    this.hasEsn = random.chance(0.25);
    this.firstNumber = this.hasEsn ? ESN_START : 1n;
    this.windowPackets = random.pick([32, 64, 64, 1024, 4096]);
    this.peers = random.integer(1, 2);
    this.targets = random.integer(1, 3);
    this.jitterMs = random.pick([0.1, 1, 3]);
    this.linkLoss = this.isCalm ? 0 : random.pick([0, 0.02]);
    this.deaths = this.isCalm ? 0 : random.pick([0.002, 0.01]);
    this.ringSlots = random.pick([32, 64, 256, 4096]);
    this.rings = random.pick([1, 8]);
    this.perSecond = this.isBudgetAmple ? 200_000 : 2000;
    this.tentativePerGroup = random.pick([4, 32]);
    const upTo = (most: number) => (random.chance(0.8) ? random.between(0, most) : 0);
    this.hostility = { race: upTo(0.6), replay: upTo(0.6), forge: upTo(0.6), elsewhere: upTo(0.2) };
  }
}
