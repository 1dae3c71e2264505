import type { Flooded } from './bench-peer.ts';
import type { Garbage } from './garbage.ts';
import { HostCpu } from './host-cpu.ts';
import { median, round } from './rows.ts';

/** Until the engine compiles no more. */
const WARM_UPS = 2;

/** What one round of a role's work cost. */
interface Cost {
  readonly nsPerPacket: number;
  readonly packetsPerSecond: number;
  /** Share of its processor. */
  readonly busy: number;
  readonly lost: number;
  /** Of an agent of ours: bytes a packet, collections a second, the share of time that they take. */
  readonly garbage:
    | { readonly bytes: number; readonly collections: number; readonly share: number }
    | undefined;
}

/** What is looked at besides, before and after. */
interface Looks {
  readonly drops?: () => Promise<Drops>;
  /** Begins to watch the collector of garbage. */
  readonly garbage?: () => () => Garbage;
}

/** Totals by `host reason`. */
export type Drops = Readonly<Record<string, number>>;

/** One kind of work of one host, measured in every round. */
export class Role {
  readonly name: string;
  readonly costs: Cost[] = [];
  /** Why it cannot be measured here; it is not tried again. */
  failure: string | undefined;
  readonly #pids: () => readonly number[];
  readonly #work: () => Promise<Flooded>;
  readonly #looks: Looks;
  /** What agents dropped meanwhile, by `host reason`. */
  readonly #dropped = new Map<string, number>();

  /** `pids`: the processes of the measured host, as they are at the moment. Placing it is the caller's. */
  constructor(name: string, pids: () => readonly number[], work: () => Promise<Flooded>, looks: Looks = {}) {
    this.name = name;
    this.#pids = pids;
    this.#work = work;
    this.#looks = looks;
  }

  /** A role that does not work, as coalesced input where nothing takes it, must not cost the others their figures. */
  async measure(): Promise<void> {
    if (this.failure !== undefined) return;
    try {
      await this.#measure();
    } catch (error) {
      this.failure = (error as Error).message;
      console.error(`${this.name}: ${this.failure}`);
    }
  }

  /** The same work, not measured: what compiling code costs a process that has just been started is no steady state's. */
  async warmUp(): Promise<void> {
    if (this.failure === undefined) for (let n = 0; n < WARM_UPS; n++) await this.#work();
  }

  async #measure(): Promise<void> {
    const before = await this.#dropsNow();
    const garbage = this.#looks.garbage?.();
    const cpu = await HostCpu.start(this.#pids());
    const { arrived, lost, seconds } = await this.#work();
    const { ns, busy } = cpu.stop();
    const made = garbage?.();
    for (const [what, count] of Object.entries(await this.#dropsNow())) {
      const more = count - (before[what] ?? 0);
      if (more > 0) this.#dropped.set(what, (this.#dropped.get(what) ?? 0) + more);
    }
    if (!(arrived > 0)) throw new Error(`nothing came through: ${[...this.#dropped].join('; ')}`);
    this.costs.push({
      nsPerPacket: round(ns / arrived),
      packetsPerSecond: Math.round(arrived / seconds),
      busy,
      lost,
      garbage: made && {
        bytes: round(made.bytes / arrived),
        collections: round(made.collections / seconds),
        share: made.ms / 1000 / seconds,
      },
    });
    console.error(
      `${this.name}: ${round(ns / arrived)} ns a packet, ${Math.round(arrived / seconds)} packets a second, ${Math.round(busy * 100)} % busy, ${Math.round(lost)} lost`,
    );
  }

  async #dropsNow(): Promise<Drops> {
    return (await this.#looks.drops?.()) ?? {};
  }

  get ns(): number[] {
    return this.costs.map(({ nsPerPacket }) => nsPerPacket);
  }

  /** By `name what`. */
  figures(): Record<string, number | number[] | string> {
    if (this.failure !== undefined) return { [`${this.name} failed`]: this.failure };
    const of = (what: Exclude<keyof Cost, 'garbage'>) => this.costs.map((cost) => cost[what]);
    const garbage = this.costs.flatMap((cost) => cost.garbage ?? []);
    return {
      [`${this.name} ns_per_packet`]: median(of('nsPerPacket')),
      [`${this.name} ns_per_packet_by_round`]: of('nsPerPacket'),
      [`${this.name} packets_per_second`]: median(of('packetsPerSecond')),
      [`${this.name} busy_percent`]: Math.round(100 * median(of('busy'))),
      [`${this.name} lost`]: Math.round(of('lost').reduce((sum, lost) => sum + lost, 0)),
      ...(garbage.length > 0 && {
        [`${this.name} garbage_bytes_per_packet`]: median(garbage.map(({ bytes }) => bytes)),
        [`${this.name} collections_per_second`]: median(garbage.map(({ collections }) => collections)),
        [`${this.name} collecting_percent`]: round(100 * median(garbage.map(({ share }) => share))),
      }),
      ...(this.#dropped.size > 0 && {
        [`${this.name} dropped`]: [...this.#dropped].map((entry) => entry.join(' ')).join(', '),
      }),
    };
  }
}
