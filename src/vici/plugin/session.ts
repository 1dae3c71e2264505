import type { Clock } from '../../base/clock.ts';
import { ViciError } from '../error.ts';
import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import { listPlugin } from './commands.ts';
import { parsePluginEvent, parsePosition } from './parse.ts';
import {
  PLUGIN_EVENTS,
  type PluginChange,
  type PluginEvent,
  type PluginSnapshot,
  wipePluginSa,
} from './types.ts';
import { type SessionOptions, ViciSession } from '../session.ts';

export interface PluginHandlers {
  /**
   * The whole truth at this moment: after connecting, and whenever an event was missed. What it does not name is gone.
   * SAs that were known before come again, with new copies of their keys: the callee owns and wipes them. Ages in it
   * were taken at `askedAt` (of the clock) or later.
   */
  readonly onSnapshot: (snapshot: PluginSnapshot, askedAt: number) => void;
  /** The next change since the snapshot, in order, none missing. */
  readonly onChange: (change: PluginChange) => void;
  /** Changes may be missed from now on, until the next snapshot. */
  readonly onDisconnected?: (reason: ViciError, retryInMs: number) => void;
  /** A section was not as agreed; it was left out. Count and log it: the plugin and we differ. */
  readonly onInvalid?: (error: ViciError) => void;
}

/**
 * The agent's view of the plugin: subscribe, list, then merge, again after every reconnect and every gap. Events that come
 * while a list is under way wait; of those, the ones the list contains already (by number) are dropped.
 *
 *     idle --start--> [disconnected] --connected--> [listing] --listed--> [following]
 *                           ^                          ^  gap, other instance  |
 *                           +------- lost -------------+-----------------------+
 */
export class PluginSession {
  /** For the plugin's commands: `acknowledge(plugin.session, { sa })`. */
  readonly session: ViciSession;
  readonly #clock: Clock;
  readonly #handlers: PluginHandlers;
  /** Undefined while following. */
  #waiting: PluginEvent[] | undefined = [];
  #instance = '';
  #sequence = 0;

  constructor(
    options: Omit<SessionOptions, 'onConnected' | 'onDisconnected' | 'onInvalidEvent'>,
    handlers: PluginHandlers,
  ) {
    this.#clock = options.clock;
    this.#handlers = handlers;
    this.session = new ViciSession({
      ...options,
      wipeEvents: true,
      onConnected: () => void this.#list(),
      onDisconnected: (reason, retryInMs) => this.#disconnected(reason, retryInMs),
      onInvalidEvent: (_, error) => this.#handlers.onInvalid?.(error),
    });
    for (const event of PLUGIN_EVENTS) {
      void this.session.subscribe(event, (message) => this.#receive(event, message)); // before start: cannot fail
    }
  }

  /** The plugin's instance, once listed; an SA's name in the cluster is `<instance>:<id>`. */
  get instance(): string {
    return this.#instance;
  }

  /** True while nothing is missed: connected, and listed. */
  get isFollowing(): boolean {
    return this.#waiting === undefined;
  }

  start(): void {
    this.session.start();
  }

  /** Ends all. Twice is harmless. */
  close(): void {
    this.#discardWaiting();
    this.session.close();
  }

  async #list(): Promise<void> {
    this.#discardWaiting();
    const askedAt = this.#clock.now();
    try {
      const snapshot = await listPlugin(this.session, (error) => this.#handlers.onInvalid?.(error));
      this.#instance = snapshot.instance;
      this.#sequence = snapshot.sequence;
      this.#handlers.onSnapshot(snapshot, askedAt);
      this.#merge();
    } catch (error) {
      if (!(error instanceof ViciError)) throw error;
      // Lost with the connection: the next one lists. Otherwise the plugin talks nonsense: begin anew, with a delay.
      this.session.reconnect(error);
    }
  }

  #merge(): void {
    const events = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const event of events) this.#take(event);
  }

  #receive(type: PluginChange['type'], message: ViciMessage): void {
    try {
      this.#take(parsePluginEvent(type, message));
    } catch (error) {
      // Its place in the order still counts, else each invalid event would look like a gap.
      const { instance, sequence } = parsePosition(new Fields(message, type));
      if (this.isFollowing && instance === this.#instance && sequence === this.#sequence + 1)
        this.#sequence = sequence;
      throw error;
    }
  }

  #take(event: PluginEvent): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(event);
      return;
    }
    const isKnown = event.instance === this.#instance && event.sequence <= this.#sequence;
    if (isKnown) return wipeUnused(event);
    if (event.instance !== this.#instance || event.sequence !== this.#sequence + 1) {
      void this.#list();
      this.#take(event);
      return;
    }
    this.#sequence = event.sequence;
    this.#handlers.onChange(event.change);
  }

  #disconnected(reason: ViciError, retryInMs: number): void {
    this.#discardWaiting();
    this.#handlers.onDisconnected?.(reason, retryInMs);
  }

  /** From now on events wait, beginning with none. */
  #discardWaiting(): void {
    for (const event of this.#waiting ?? []) wipeUnused(event);
    this.#waiting = [];
  }
}

function wipeUnused(event: PluginEvent): void {
  if (event.change.type === 'sa-add') wipePluginSa(event.change.sa);
}
