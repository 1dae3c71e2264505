import type { TargetSession } from '../../coupling/session.ts';
import type { Log } from '../../observe/log.ts';

/** Where maintenance is kept: longer than this agent lives. */
export interface MaintenanceMark {
  /** Throws if that cannot be known. */
  isSet(): boolean;
  /** Throws if it cannot be kept. */
  set(isOn: boolean): void;
}

/**
 * Maintenance of this host: its connections go on, and the routing host gives it no new ones. It begins and ends by command, and is
 * told to the routing host at once and with each session.
 */
export class TargetMaintenance {
  readonly #log: Log;
  readonly #mark: MaintenanceMark;
  #session: TargetSession | undefined;
  #isOn: boolean;

  constructor(log: Log, mark: MaintenanceMark) {
    this.#log = log;
    this.#mark = mark;
    this.#isOn = mark.isSet();
    if (this.#isOn) this.#tell();
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** The routing host knows. */
  get isReported(): boolean {
    return this.#session !== undefined;
  }

  /** Twice is harmless. Throws if it cannot be kept: then nothing has changed. */
  set(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#mark.set(isOn);
    this.#isOn = isOn;
    this.#session?.send('maintenance', { isOn });
    this.#tell();
  }

  sessionOpened(session: TargetSession): void {
    this.#session = session;
    session.send('maintenance', { isOn: this.#isOn });
  }

  sessionClosed(): void {
    this.#session = undefined;
  }

  #tell(): void {
    if (this.#isOn) this.#log.warn('this host is in maintenance', { event: 'maintenance-on' });
    else this.#log.info('maintenance of this host has ended', { event: 'maintenance-off' });
  }
}
