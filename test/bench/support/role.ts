import type { Flooded } from './bench-peer.ts';
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
  readonly #drops: () => Promise<Drops>;
  /** What agents dropped meanwhile, by `host reason`. */
  readonly #dropped = new Map<string, number>();

  /** `pids`: the processes of the measured host, as they are at the moment. Placing it is the caller's. */
  constructor(
    name: string,
    pids: () => readonly number[],
    work: () => Promise<Flooded>,
    drops: () => Promise<Drops> = async () => ({}),
  ) {
    this.name = name;
    this.#pids = pids;
    this.#work = work;
    this.#drops = drops;
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
    const before = await this.#drops();
    const cpu = await HostCpu.start(this.#pids());
    const { arrived, lost, seconds } = await this.#work();
    const { ns, busy } = cpu.stop();
    for (const [what, count] of Object.entries(await this.#drops())) {
      const more = count - (before[what] ?? 0);
      if (more > 0) this.#dropped.set(what, (this.#dropped.get(what) ?? 0) + more);
    }
    if (!(arrived > 0)) throw new Error(`nothing came through: ${[...this.#dropped].join('; ')}`);
    this.costs.push({
      nsPerPacket: round(ns / arrived),
      packetsPerSecond: Math.round(arrived / seconds),
      busy,
      lost,
    });
    console.error(
      `${this.name}: ${round(ns / arrived)} ns a packet, ${Math.round(arrived / seconds)} packets a second, ${Math.round(busy * 100)} % busy, ${Math.round(lost)} lost`,
    );
  }

  get ns(): number[] {
    return this.costs.map(({ nsPerPacket }) => nsPerPacket);
  }

  /** By `name what`. */
  figures(): Record<string, number | number[] | string> {
    if (this.failure !== undefined) return { [`${this.name} failed`]: this.failure };
    const of = (what: keyof Cost) => this.costs.map((cost) => cost[what]);
    return {
      [`${this.name} ns_per_packet`]: median(of('nsPerPacket')),
      [`${this.name} ns_per_packet_by_round`]: of('nsPerPacket'),
      [`${this.name} packets_per_second`]: median(of('packetsPerSecond')),
      [`${this.name} busy_percent`]: Math.round(100 * median(of('busy'))),
      [`${this.name} lost`]: Math.round(of('lost').reduce((sum, lost) => sum + lost, 0)),
      ...(this.#dropped.size > 0 && {
        [`${this.name} dropped`]: [...this.#dropped].map((entry) => entry.join(' ')).join(', '),
      }),
    };
  }
}
