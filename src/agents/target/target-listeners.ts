import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { TargetSession } from '../../coupling/session.ts';
import type { Log } from '../../observe/log.ts';

const LOOK_MS = 200;
/** The kernel's refusals make it look no more often than this: a peer may try all ports. */
const LOOK_AGAIN_MS = 20;

/** Ports that an application hears what comes for a DVIPA on: ascending, each once. */
export interface ListeningPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** This host's sockets. */
export interface ListeningSource {
  /** As of the last look. */
  portsOf(dvipa: string): ListeningPorts;
  /** Looks; `isThorough`: something has changed, for sure. Never called while it looks. Rejects if it cannot; what it saw before stays. */
  look(isThorough: boolean): Promise<void>;
  /** The last look saw more ports than a report may have. */
  readonly isTruncated: boolean;
}

export interface TargetListenersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly source: ListeningSource;
  /** DVIPAs that the routing host has given to this target. */
  readonly served: () => readonly { readonly address: string }[];
}

/**
 * Tells the routing host which ports applications of this target listen on, for each DVIPA that it serves: when the session begins or
 * the DVIPA comes, and when it changes. It looks five times a second, and at once when the kernel has refused a connection.
 */
export class TargetListeners {
  readonly #options: TargetListenersOptions;
  readonly #timer: Timer;
  #session: TargetSession | undefined;
  /** What the present session was told. */
  readonly #told = new Map<string, ListeningPorts>();
  #isLooking = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  #wasTruncated = false;

  constructor(options: TargetListenersOptions) {
    this.#options = options;
    this.#timer = every(options.clock, LOOK_MS, () => void this.#look(false));
  }

  /** Before the end of the windows: with it the routing host dispatches again. */
  sessionOpened(session: TargetSession): void {
    this.#session = session;
    this.#told.clear();
    this.#tellAll();
  }

  sessionClosed(): void {
    this.#session = undefined;
  }

  /** The routing host has given the DVIPA to this target. */
  served(dvipa: string): void {
    this.#tell(dvipa);
  }

  withdrawn(dvipa: string): void {
    this.#told.delete(dvipa);
  }

  /** The kernel has refused a connection that was meant for a listener: it is gone since the last look. */
  refused(): void {
    if (this.#options.clock.now() - this.#lookedAt >= LOOK_AGAIN_MS) void this.#look(true);
  }

  close(): void {
    this.#timer.cancel();
  }

  async #look(isThorough: boolean): Promise<void> {
    const { clock, log, source } = this.#options;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#lookedAt = clock.now();
    try {
      await source.look(isThorough);
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) log.error('listening ports of this host are not known', { error });
      this.#hasFailed = true;
    }
    this.#isLooking = false;
    if (source.isTruncated && !this.#wasTruncated) log.warn('too many listening ports to report all');
    this.#wasTruncated = source.isTruncated;
    this.#tellAll();
  }

  #tellAll(): void {
    for (const { address } of this.#options.served()) this.#tell(address);
  }

  #tell(dvipa: string): void {
    if (this.#session === undefined) return;
    const ports = this.#options.source.portsOf(dvipa);
    const told = this.#told.get(dvipa);
    if (told !== undefined && isEqual(told.tcp, ports.tcp) && isEqual(told.udp, ports.udp)) return;
    this.#told.set(dvipa, ports);
    this.#session.send('listeners', { dvipa, tcp: ports.tcp, udp: ports.udp });
  }
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}
