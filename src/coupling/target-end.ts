import { codecOf } from './bodies.ts';
import { check } from './envelope.ts';
import type { EpochMemory } from './epoch-gate.ts';
import { type CloseReason, CouplingError } from './errors.ts';
import { nothing } from './fields.ts';
import { readHello } from './hello.ts';
import { COUPLING_VERSION, type TargetBodies, type TargetEvent } from './records.ts';
import { routeCodecs, routeHello, wipeEvent } from './route-schemas.ts';
import type { TargetHandlers, TargetSession } from './session.ts';
import { type CoreOptions, SessionCore } from './session-core.ts';
import type { SnapshotInventory } from './snapshot-inventory.ts';
import { targetCodecs } from './target-schemas.ts';

export interface TargetEndOptions extends CoreOptions {
  /** Our own name and life, for our hello. */
  readonly host: string;
  readonly incarnation: bigint;
  /** The routing host that the certificate names. */
  readonly peerHost: string;
  /** Kept over sessions, shared with whatever else checks epochs (the trusted link). */
  readonly epochs: EpochMemory;
  /** Kept over sessions. */
  readonly inventory: SnapshotInventory;
  readonly handlers: TargetHandlers;
  readonly ended?: (end: TargetEnd, reason: CloseReason, cause: unknown) => void;
}

/**
 * A target's end of one session. It speaks first (hello), refuses a routing host whose epoch is below one
 * that it has seen, and then obeys records in order. Handlers run in order; what they have handled is acknowledged.
 */
export class TargetEnd implements TargetSession {
  readonly host: string;
  readonly #options: TargetEndOptions;
  readonly #core: SessionCore<TargetEvent>;
  #wasOpen = false;

  constructor(options: TargetEndOptions) {
    this.#options = options;
    this.host = options.peerHost;
    this.#core = new SessionCore<TargetEvent>(options, {
      hello: (body, epoch) => this.#onHello(body, epoch),
      isCurrent: (epoch) => epoch === this.#core.epoch && epoch >= options.epochs.seen,
      decode: (kind, body) => this.#decode(kind, body),
      handle: (event) => this.#handle(event),
      discard: wipeEvent,
      closed: (reason, cause) => this.#onClosed(reason, cause),
    });
    options.inventory.reset();
    const { host, incarnation, epochs } = options;
    this.#core.sendHello(
      { version: COUPLING_VERSION, role: 'target', host, incarnation, epochSeen: epochs.seen },
      0,
    );
  }

  get epoch(): number {
    return this.#core.epoch;
  }

  get isOpen(): boolean {
    return this.#core.state === 'open';
  }

  get heardAt(): number {
    return this.#core.heardAt;
  }

  get acknowledged(): number {
    return this.#core.acknowledged;
  }

  whenAcknowledged(n: number): Promise<boolean> {
    return this.#core.whenAcknowledged(n);
  }

  send<K extends keyof TargetBodies>(kind: K, body: TargetBodies[K]): number {
    if (!this.isOpen) return 0;
    return this.#core.send(kind, targetCodecs[kind].encode(body));
  }

  close(reason: CloseReason = 'stopped'): void {
    this.#core.close(reason);
  }

  /** From the stream. The bytes are wiped. */
  receive(chunk: Uint8Array): void {
    this.#core.receive(chunk);
  }

  streamClosed(error?: Error): void {
    this.#core.streamClosed(error);
  }

  #onHello(body: unknown, epoch: number): void {
    const hello = readHello(routeHello, body, { role: 'route', host: this.host });
    if (hello.epoch !== epoch)
      throw new CouplingError('coupling-epoch', 'hello and its envelope differ in epoch');
    if (epoch < this.#options.epochs.seen) {
      throw new CouplingError('coupling-epoch', `epoch ${epoch}, already seen ${this.#options.epochs.seen}`);
    }
    this.#options.epochs.note(epoch);
    this.#core.open(epoch);
    this.#wasOpen = true;
    this.#options.handlers.onOpen(this);
  }

  #decode(kind: string, body: unknown): TargetEvent {
    if (kind === 'snapshot-begin' || kind === 'snapshot-end')
      return { kind, body: check(nothing, body, kind) };
    return { kind, body: codecOf(routeCodecs, kind).decode(body) } as TargetEvent;
  }

  #handle(event: TargetEvent): void | Promise<void> {
    const events = this.#options.inventory.apply(event);
    if (events.length === 1) return this.#options.handlers.onRecord(this, event);
    return this.#handleAll(events);
  }

  async #handleAll(events: readonly TargetEvent[]): Promise<void> {
    for (const event of events) {
      if (!this.isOpen) return;
      await this.#options.handlers.onRecord(this, event);
    }
  }

  #onClosed(reason: CloseReason, cause: unknown): void {
    if (this.#wasOpen) this.#options.handlers.onClose(this, reason, cause);
    this.#options.ended?.(this, reason, cause);
  }
}
