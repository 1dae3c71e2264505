import { codecOf } from './bodies.ts';
import type { EpochGate } from './epoch-gate.ts';
import type { CloseReason } from './errors.ts';
import { readHello } from './hello.ts';
import { COUPLING_VERSION, type RouteBodies, type RouteRecord, type TargetRecord } from './records.ts';
import { routeCodecs } from './route-schemas.ts';
import type { RoutingHandlers, RoutingSession } from './session.ts';
import { type CoreOptions, SessionCore } from './session-core.ts';
import { targetCodecs, targetHello } from './target-schemas.ts';

export interface RoutingEndOptions extends CoreOptions {
  /** Our own name, for our hello. */
  readonly host: string;
  /** The target that the certificate names. */
  readonly peerHost: string;
  readonly epochs: Pick<EpochGate, 'admit'>;
  readonly handlers: RoutingHandlers;
  /**
   * Asked when the target's hello is read, before ours is sent: may this life of the target have a session?
   * (The server replaces an older one.) A reason refuses it.
   */
  readonly admit?: (end: RoutingEnd) => CloseReason | undefined;
  /** Called once when the session is over, open or not. */
  readonly ended?: (end: RoutingEnd, reason: CloseReason, cause: unknown) => void;
}

/**
 * The routing host's end of one session. Conversation: target's hello; the epoch is settled (raised and
 * stored, if the target has seen a higher one); our hello; snapshot; then records both ways.
 */
export class RoutingEnd implements RoutingSession {
  readonly host: string;
  readonly #options: RoutingEndOptions;
  readonly #core: SessionCore<TargetRecord>;
  #incarnation = 0n;
  #epochSeen = 0;
  #wasOpen = false;

  constructor(options: RoutingEndOptions) {
    this.#options = options;
    this.host = options.peerHost;
    this.#core = new SessionCore<TargetRecord>(options, {
      hello: (body) => this.#onHello(body),
      isCurrent: (epoch) => epoch === this.#core.epoch,
      decode: (kind, body) => ({ kind, body: codecOf(targetCodecs, kind).decode(body) }) as TargetRecord,
      handle: (record) => options.handlers.onRecord(this, record),
      discard: () => {}, // a target sends no keys
      closed: (reason, cause) => this.#onClosed(reason, cause),
    });
  }

  get epoch(): number {
    return this.#core.epoch;
  }

  get isOpen(): boolean {
    return this.#core.state === 'open';
  }

  get incarnation(): bigint {
    return this.#incarnation;
  }

  get epochSeen(): number {
    return this.#epochSeen;
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

  send<K extends keyof RouteBodies>(kind: K, body: RouteBodies[K]): number {
    if (!this.isOpen) return 0;
    return this.#core.send(kind, routeCodecs[kind].encode(body));
  }

  sendSnapshot(records: Iterable<RouteRecord>): number {
    if (!this.isOpen) return 0;
    const encoded = Array.from(records, (record) => encodeRecord(record)); // all or nothing, if one throws
    this.#core.send('snapshot-begin', {});
    for (const { kind, body } of encoded) this.#core.send(kind, body);
    return this.#core.send('snapshot-end', {});
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

  #onHello(body: unknown): void {
    const hello = readHello(targetHello, body, { role: 'target', host: this.host });
    this.#incarnation = hello.incarnation;
    this.#epochSeen = hello.epochSeen;
    void this.#admit().catch((error: unknown) => this.#core.fail(error));
  }

  async #admit(): Promise<void> {
    const { admit, epochs, host, handlers } = this.#options;
    const refusal = admit?.(this);
    if (refusal !== undefined) return this.close(refusal);
    const epoch = await epochs.admit(this.host, this.#epochSeen);
    if (this.#core.state !== 'admitting') return; // closed while the epoch was stored
    this.#core.sendHello({ version: COUPLING_VERSION, role: 'route', host, epoch }, epoch);
    this.#core.open(epoch);
    this.#wasOpen = true;
    handlers.onOpen(this);
    this.sendSnapshot(handlers.snapshot(this));
  }

  #onClosed(reason: CloseReason, cause: unknown): void {
    if (this.#wasOpen) this.#options.handlers.onClose(this, reason, cause);
    this.#options.ended?.(this, reason, cause);
  }
}

function encodeRecord<K extends keyof RouteBodies>({ kind, body }: { kind: K; body: RouteBodies[K] }) {
  return { kind, body: routeCodecs[kind].encode(body) };
}
