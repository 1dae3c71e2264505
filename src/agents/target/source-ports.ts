import type { Ports } from '../../connections/port-leases.ts';
import type { LeasedPorts } from '../../dataplane/opened-flows.ts';
import type { Log } from '../../observe/log.ts';

/** The kernel's range for sockets that ask for no port; in a test, of the test. */
export interface PortRange {
  read(): Promise<Ports>;
  set(ports: Ports): Promise<void>;
  /** Puts back what was there before the first `set`. */
  restore(): Promise<void>;
}

export interface SourcePortsOptions {
  readonly log: Log;
  readonly range: PortRange;
  /** The agent sets the range; else it only says what is wrong with it. */
  readonly isManaged: boolean;
}

/**
 * Keeps the kernel to the source ports that are leased to this host. It has one range for all sockets, whatever address they are bound
 * to, so that is what all DVIPAs lease to this host.
 */
export class KernelSourcePorts {
  readonly #options: SourcePortsOptions;
  /** One change after the other. */
  #last: Promise<void> = Promise.resolve();
  #known = '';
  #leases: readonly LeasedPorts[] = [];
  #isManaged: boolean;

  constructor(options: SourcePortsOptions) {
    this.#options = options;
    this.#isManaged = options.isManaged;
  }

  /** Whether the agent sets the range, from now on. Resolves when the kernel has followed; never rejects. */
  manage(isManaged: boolean): Promise<void> {
    if (isManaged === this.#isManaged) return this.#last;
    this.#isManaged = isManaged;
    const { range, log } = this.#options;
    this.#last = this.#last.then(async () => {
      if (!isManaged)
        await range.restore().catch((error: unknown) => log.warn('source ports of the kernel', { error }));
      await this.#follow(this.#leases);
    });
    return this.#last;
  }

  /** The leases of all DVIPAs that this host serves. Resolves when the kernel has followed; never rejects. */
  changed(leases: readonly LeasedPorts[]): Promise<void> {
    const known = JSON.stringify(leases);
    if (known === this.#known) return this.#last;
    this.#known = known;
    this.#leases = leases;
    this.#last = this.#last.then(() => this.#follow(leases));
    return this.#last;
  }

  async #follow(leases: readonly LeasedPorts[]): Promise<void> {
    if (leases.length === 0) return;
    const { log, range } = this.#options;
    const common = intersection(leases.map(({ own }) => own));
    if (common === undefined) {
      log.warn('no source port is leased to this host for all of its DVIPAs');
      return;
    }
    const wanted = textOf(common);
    try {
      const present = await range.read();
      if (this.#isManaged) {
        await range.set(common);
        if (textOf(present) !== wanted) log.info('source ports of the kernel', { ports: wanted });
      } else if (present.from < common.from || present.to > common.to) {
        const fields = { ports: textOf(present), leased: wanted };
        log.warn('the kernel takes source ports that are not leased to this host', fields);
      }
    } catch (error) {
      log.warn('source ports of the kernel', { leased: wanted, error });
    }
  }
}

function textOf({ from, to }: Ports): string {
  return `${from}-${to}`;
}

function intersection(all: readonly (Ports | undefined)[]): Ports | undefined {
  let [from, to] = [0, 0xffff];
  for (const each of all) {
    if (each === undefined) return undefined;
    from = Math.max(from, each.from);
    to = Math.min(to, each.to);
  }
  return from <= to ? { from, to } : undefined;
}
