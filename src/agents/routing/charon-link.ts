import type { Clock } from '../../base/clock.ts';
import type { RouteConfig } from '../../config/index.ts';
import { EpochGate } from '../../coupling/epoch-gate.ts';
import type { Log } from '../../observe/log.ts';
import { parseDvipaState } from '../../store/state-codec.ts';
import type { CouplingStore, DvipaState } from '../../store/store.ts';
import {
  connect,
  listPlugin,
  PluginSession,
  type PluginSnapshot,
  pluginVersion,
  reloadSettings,
  subscribeSaEvents,
  version,
  ViciSession,
  wipePluginSa,
} from '../../vici/index.ts';
import type { CharonState } from './routing-parts.ts';
import type { SaLifecycle } from './sa-lifecycle.ts';

const STORE_RETRY_MS = 500;

/** Addresses in the plugin's settings (`kernel-dvipa.conf`). */
export type PluginAddresses = Pick<PluginSnapshot, 'dvipas' | 'endpoints'>;

export interface CharonHandlers {
  readonly lifecycle: SaLifecycle;
  readonly store: CouplingStore;
  /** The state of a DVIPA that an earlier life of this agent stored. Called before `onOwner`. */
  readonly onRestored: (dvipa: string, state: DvipaState) => void;
  /** charon's stock interface can be asked, for the first time or again. */
  readonly onStock: () => void;
  /** charon made, rekeyed or closed something: names may have changed. */
  readonly onNames: () => void;
  /** The epoch is stored: this agent is the owner and may let targets in. Called once. */
  readonly onOwner: (epochs: EpochGate) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/**
 * The routing agent's two sessions with charon: the plugin's socket (SAs, policies, stored state) and the stock
 * one (names, rekey). Both reconnect by themselves. The first answer of the plugin makes this agent the owner: it
 * takes epoch 1 + stored, stores it, and lets the targets in; what they report may raise it (`EpochGate`).
 */
export class CharonLink {
  readonly plugin: PluginSession;
  readonly stock: ViciSession;
  readonly state: CharonState = {
    isConnected: false,
    instance: undefined,
    version: undefined,
    plugin: undefined,
  };
  readonly #clock: Clock;
  readonly #log: Log;
  #dvipas: readonly string[];
  readonly #pluginPath: string;
  /** Sockets whose absence was said once; further attempts are for the debug log. */
  readonly #complaints = new Set<string>();
  #handlers: CharonHandlers | undefined;
  #epoch = 0;
  #gate: EpochGate | undefined;
  #isClosed = false;

  constructor({ config, clock, log }: { config: RouteConfig; clock: Clock; log: Log }) {
    this.#clock = clock;
    this.#log = log;
    this.#pluginPath = config.charon.plugin;
    this.#dvipas = config.dvipas.map(({ address }) => address);
    const options = { clock, random: Math.random };
    this.stock = new ViciSession({
      ...options,
      open: (signal) => connect(`unix://${config.charon.vici}`, signal),
      onConnected: () => {
        this.#complaints.delete(config.charon.vici);
        this.#handlers?.onStock();
        this.#handlers?.onNames();
      },
      onDisconnected: (error, delayMs) =>
        this.#complain('charon is not there', config.charon.vici, delayMs, error),
    });
    this.plugin = new PluginSession(
      { ...options, open: (signal) => connect(`unix://${config.charon.plugin}`, signal) },
      {
        onSnapshot: (snapshot, askedAt) => this.#listed(snapshot, askedAt),
        onChange: (change) => this.#handlers?.lifecycle.change(this.plugin.instance, change),
        onDisconnected: (error, delayMs) => {
          this.state.isConnected = false;
          this.#complain('the plugin kernel-dvipa is not there', config.charon.plugin, delayMs, error);
        },
        onInvalid: (error) => log.error('the plugin said something that makes no sense', { error }),
      },
    );
  }

  /** 0 until this agent is the owner. */
  get epoch(): number {
    return this.#gate?.epoch ?? this.#epoch;
  }

  start(handlers: CharonHandlers): void {
    this.#handlers = handlers;
    void subscribeSaEvents(this.stock, () => handlers.onNames());
    this.stock.start();
    this.plugin.start();
  }

  /**
   * What the plugin serves (its own settings). `isFresh`: charon reads its settings again before. Rejects with a ViciError if charon
   * is not there.
   */
  async addresses(isFresh: boolean): Promise<PluginAddresses> {
    if (isFresh) await reloadSettings(this.stock);
    const { dvipas, endpoints, sas } = await listPlugin(this.plugin.session, () => {});
    for (const sa of sas) wipePluginSa(sa);
    return { dvipas, endpoints };
  }

  /** These are served from now on: the epoch is stored with each. Rejects, and changes nothing, if it is not. */
  async setDvipas(store: CouplingStore, dvipas: readonly string[]): Promise<void> {
    const added = dvipas.filter((dvipa) => !this.#dvipas.includes(dvipa));
    if (this.epoch > 0) for (const dvipa of added) await store.putEpoch(dvipa, this.epoch);
    this.#dvipas = dvipas;
  }

  close(): void {
    this.#isClosed = true;
    this.plugin.close();
    this.stock.close();
  }

  #complain(message: string, path: string, delayMs: number, error: unknown): void {
    const level = this.#complaints.has(path) ? 'debug' : 'warn';
    this.#complaints.add(path);
    const event = level === 'warn' ? 'charon-lost' : undefined; // once, however often it is tried again
    this.#log[level](message, { path, delayMs: Math.round(delayMs), error, event });
  }

  #listed(snapshot: PluginSnapshot, askedAt: number): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.state.isConnected = true;
    this.#complaints.delete(this.#pluginPath);
    const isOtherCharon = this.state.instance !== undefined && this.state.instance !== snapshot.instance;
    this.state.instance = snapshot.instance;
    const fields = { instance: snapshot.instance, sas: snapshot.sas.length };
    if (isOtherCharon) this.#log.warn('charon was restarted', { ...fields, event: 'charon-restarted' });
    else this.#log.info('connected to charon', { ...fields, event: 'charon-connected' });
    void this.#learnVersion();
    if (this.#epoch === 0) {
      this.#epoch = 1 + this.#restored(snapshot, handlers);
      this.#become(handlers).catch(handlers.onFailure);
    } else {
      // A restarted charon has forgotten the epoch; a stored one must never be below the one in use.
      this.#storeEpoch(handlers.store, this.epoch).catch((error: unknown) => {
        this.#log.warn('the epoch is not stored', { epoch: this.epoch, error, event: 'store-failed' });
      });
    }
    handlers.lifecycle.snapshot(snapshot, askedAt);
  }

  /** What an earlier life of this agent left with the plugin. The highest epoch of it, 0: none. */
  #restored({ states }: PluginSnapshot, { store, onRestored }: CharonHandlers): number {
    let highest = 0;
    for (const [dvipa, bytes] of states) {
      const state = parseDvipaState(bytes);
      if (state === undefined) {
        this.#log.warn('stored state of a DVIPA is doubtful', { dvipa, event: 'store-doubtful' });
        continue;
      }
      highest = Math.max(highest, state.epoch);
      store.restoredDvipa(dvipa, state);
      onRestored(dvipa, state);
    }
    return highest;
  }

  async #become(handlers: CharonHandlers): Promise<void> {
    for (;;) {
      try {
        await this.#storeEpoch(handlers.store, this.#epoch);
        break;
      } catch (error) {
        if (this.#isClosed) return;
        this.#log.warn('the epoch is not stored, no target is let in yet', {
          epoch: this.#epoch,
          error,
          event: 'store-failed',
        });
        await new Promise<void>((resolve) => {
          this.#clock.after(STORE_RETRY_MS, resolve);
        });
      }
    }
    if (this.#isClosed) return;
    this.#log.info('owner of the DVIPAs', { epoch: this.#epoch, event: 'owner' });
    this.#gate = new EpochGate(this.#epoch, (epoch) => this.#storeEpoch(handlers.store, epoch));
    this.#gate.onRaised((epoch) =>
      this.#log.warn('epoch raised above what a target has seen', { epoch, event: 'epoch-raised' }),
    );
    await handlers.onOwner(this.#gate);
  }

  async #storeEpoch(store: CouplingStore, epoch: number): Promise<void> {
    for (const dvipa of this.#dvipas) await store.putEpoch(dvipa, epoch);
  }

  async #learnVersion(): Promise<void> {
    try {
      const { plugin, daemon } = await pluginVersion(this.plugin.session);
      this.state.version = daemon;
      this.state.plugin = plugin;
      const charon = await version(this.stock);
      this.#log.info('charon', { version: charon.version, part: `kernel-dvipa ${plugin}` });
    } catch (error) {
      this.#log.debug('version is not known', { error });
    }
  }
}
