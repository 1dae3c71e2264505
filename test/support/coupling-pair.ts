import { DropCounters } from '../../src/base/verdict.ts';
import { EpochGate, EpochMemory } from '../../src/coupling/epoch-gate.ts';
import type { CloseReason } from '../../src/coupling/errors.ts';
import type { RouteRecord, TargetEvent, TargetRecord } from '../../src/coupling/records.ts';
import { RoutingEnd } from '../../src/coupling/routing-end.ts';
import {
  DEFAULT_TIMES,
  type RoutingHandlers,
  type RoutingSession,
  type TargetHandlers,
  type TargetSession,
} from '../../src/coupling/session.ts';
import { SnapshotInventory } from '../../src/coupling/snapshot-inventory.ts';
import { TargetEnd } from '../../src/coupling/target-end.ts';
import { CouplingClient } from '../../src/io/coupling-client.ts';
import { CouplingServer } from '../../src/io/coupling-server.ts';
import type { TlsCredentials } from '../../src/io/tls-options.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStream, memoryWire } from './memory-wire.ts';

/** Wakes whoever waits for a condition when something happened. No polling, no sleeping. */
export class Changes {
  #waiting: (() => void)[] = [];

  changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The test's own time limit is the bound. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** A routing agent that writes down what it is told. */
export class RouteRecorder implements RoutingHandlers {
  readonly drops = new DropCounters();
  readonly sessions: RoutingSession[] = [];
  readonly records: TargetRecord[] = [];
  readonly closes: CloseReason[] = [];
  readonly causes: unknown[] = [];
  /** Everything in the order it happened. */
  readonly log: string[] = [];
  readonly storedEpochs: number[] = [];
  state: RouteRecord[] = [];
  epochs: EpochGate;
  handle: (record: TargetRecord) => void | Promise<void> = () => {};
  opened: (session: RoutingSession) => void = () => {};
  readonly #changes: Changes;

  constructor(changes: Changes, epoch = 1) {
    this.#changes = changes;
    this.epochs = this.newGate(epoch);
  }

  newGate(epoch: number): EpochGate {
    return new EpochGate(epoch, async (stored) => {
      this.storedEpochs.push(stored);
    });
  }

  /** The latest. */
  get session(): RoutingSession {
    return this.sessions.at(-1) as RoutingSession;
  }

  onOpen(session: RoutingSession): void {
    this.sessions.push(session);
    this.log.push('open');
    this.opened(session);
    this.#changes.changed();
  }

  snapshot(): Iterable<RouteRecord> {
    return this.state;
  }

  onRecord(_session: RoutingSession, record: TargetRecord): void | Promise<void> {
    this.records.push(record);
    this.log.push(record.kind);
    this.#changes.changed();
    return this.handle(record);
  }

  onClose(_session: RoutingSession, reason: CloseReason, cause?: unknown): void {
    this.closes.push(reason);
    this.causes.push(cause);
    this.log.push(`close ${reason}`);
    this.#changes.changed();
  }
}

/** A target agent that writes down what it is told. */
export class TargetRecorder implements TargetHandlers {
  readonly drops = new DropCounters();
  readonly epochs = new EpochMemory();
  readonly sessions: TargetSession[] = [];
  readonly events: TargetEvent[] = [];
  readonly closes: CloseReason[] = [];
  readonly causes: unknown[] = [];
  readonly log: string[] = [];
  handle: (event: TargetEvent) => void | Promise<void> = () => {};
  opened: (session: TargetSession) => void = () => {};
  readonly #changes: Changes;

  constructor(changes: Changes) {
    this.#changes = changes;
  }

  get session(): TargetSession {
    return this.sessions.at(-1) as TargetSession;
  }

  onOpen(session: TargetSession): void {
    this.sessions.push(session);
    this.log.push('open');
    this.opened(session);
    this.#changes.changed();
  }

  onRecord(_session: TargetSession, event: TargetEvent): void | Promise<void> {
    this.events.push(event);
    this.log.push(event.kind);
    this.#changes.changed();
    return this.handle(event);
  }

  onClose(_session: TargetSession, reason: CloseReason, cause?: unknown): void {
    this.closes.push(reason);
    this.causes.push(cause);
    this.log.push(`close ${reason}`);
    this.#changes.changed();
  }
}

/** A routing host and one target, joined by memory or by TLS on loopback. */
export interface CouplingPair {
  readonly clock: ManualClock;
  readonly changes: Changes;
  readonly route: RouteRecorder;
  readonly target: TargetRecorder;
  /** The first session: both open, the snapshot handled by the target. */
  connect(): Promise<void>;
  /** The next session, after one has ended. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

export interface PairOptions {
  readonly real: boolean;
  readonly credentials?: { readonly route: TlsCredentials; readonly target: TlsCredentials };
  /** Memory only: the stream arrives in pieces of this size. */
  readonly pieceBytes?: number;
}

export async function makePair(options: PairOptions): Promise<CouplingPair> {
  const parts = new Parts();
  if (!options.real) return new MemoryPair(parts, options.pieceBytes);
  if (options.credentials === undefined) throw new Error('real needs credentials');
  const pair = new TlsPair(parts, options.credentials);
  await pair.listen();
  return pair;
}

class Parts {
  readonly clock = new ManualClock();
  readonly changes = new Changes();
  readonly route = new RouteRecorder(this.changes);
  readonly target = new TargetRecorder(this.changes);

  async snapshotHandled(count: number): Promise<void> {
    const { changes, route, target } = this;
    const ends = () => target.log.filter((entry) => entry === 'snapshot-end').length;
    await changes.until(() => route.sessions.length >= count && ends() >= count);
  }
}

/** Both ends and their streams can be reached, to freeze or cut the wire. */
export class MemoryPair implements CouplingPair {
  readonly clock: ManualClock;
  readonly changes: Changes;
  readonly route: RouteRecorder;
  readonly target: TargetRecorder;
  routeStream = new MemoryStream();
  targetStream = new MemoryStream();
  routeEnd: RoutingEnd | undefined;
  targetEnd: TargetEnd | undefined;
  readonly #parts: Parts;
  readonly #pieceBytes: number | undefined;
  readonly #inventory = new SnapshotInventory();

  constructor(parts: Parts, pieceBytes?: number) {
    this.#parts = parts;
    this.#pieceBytes = pieceBytes;
    ({ clock: this.clock, changes: this.changes, route: this.route, target: this.target } = parts);
  }

  /** Both ends, nothing delivered yet. */
  join(): void {
    const { clock, route, target } = this;
    [this.routeStream, this.targetStream] = memoryWire(this.#pieceBytes);
    this.routeEnd = new RoutingEnd({
      stream: this.routeStream,
      clock,
      times: DEFAULT_TIMES,
      drops: route.drops,
      host: 'router1',
      peerHost: 'target1',
      epochs: route.epochs,
      handlers: route,
      ended: () => this.changes.changed(),
    });
    this.routeStream.receiver = this.routeEnd;
    this.targetEnd = new TargetEnd({
      stream: this.targetStream,
      clock,
      times: DEFAULT_TIMES,
      drops: target.drops,
      host: 'target1',
      incarnation: 1n,
      peerHost: 'router1',
      epochs: target.epochs,
      inventory: this.#inventory,
      handlers: target,
      ended: () => this.changes.changed(),
    });
    this.targetStream.receiver = this.targetEnd;
  }

  async connect(): Promise<void> {
    const count = this.target.log.filter((entry) => entry === 'snapshot-end').length + 1;
    this.join();
    await this.#parts.snapshotHandled(count);
  }

  reconnect(): Promise<void> {
    return this.connect();
  }

  async close(): Promise<void> {
    this.routeEnd?.close();
    this.targetEnd?.close();
  }
}

class TlsPair implements CouplingPair {
  readonly clock: ManualClock;
  readonly changes: Changes;
  readonly route: RouteRecorder;
  readonly target: TargetRecorder;
  readonly #parts: Parts;
  readonly #credentials: { readonly route: TlsCredentials; readonly target: TlsCredentials };
  readonly #server: CouplingServer;
  #client: CouplingClient | undefined;
  #port = 0;

  constructor(parts: Parts, credentials: { route: TlsCredentials; target: TlsCredentials }) {
    this.#parts = parts;
    this.#credentials = credentials;
    ({ clock: this.clock, changes: this.changes, route: this.route, target: this.target } = parts);
    const { clock, route } = parts;
    this.#server = new CouplingServer({
      address: '127.0.0.1',
      port: 0,
      tls: credentials.route,
      host: 'router1',
      isTarget: (host) => host === 'target1',
      epochs: {
        admit: (...given) => route.epochs.admit(...given),
        onRaised: (f) => route.epochs.onRaised(f),
      },
      drops: route.drops,
      handlers: route,
      clock,
      onEnded: () => this.changes.changed(),
    });
  }

  async listen(): Promise<void> {
    this.#port = await this.#server.listen();
  }

  async connect(): Promise<void> {
    const { clock, target } = this;
    this.#client = new CouplingClient({
      router: { host: 'router1', address: '127.0.0.1', port: this.#port },
      tls: this.#credentials.target,
      host: 'target1',
      incarnation: 1n,
      drops: target.drops,
      handlers: target,
      epochs: target.epochs,
      clock,
      random: () => 0,
      onFailure: () => this.changes.changed(),
    });
    this.#client.start();
    await this.#parts.snapshotHandled(1);
  }

  /** The client waits on the clock; it may still be closing when we look first. */
  async reconnect(): Promise<void> {
    const count = this.target.log.filter((entry) => entry === 'snapshot-end').length + 1;
    while (this.#client?.isWaiting !== true) await new Promise((resolve) => setImmediate(resolve));
    this.clock.advance(50);
    await this.#parts.snapshotHandled(count);
  }

  async close(): Promise<void> {
    await this.#client?.stop();
    await this.#server.close();
  }
}
