import { connect, type TLSSocket } from 'node:tls';
import { type Clock, systemClock, type Timer } from '../base/clock.ts';
import type { DropCounters } from '../base/verdict.ts';
import { Backoff, RECONNECT } from '../coupling/backoff.ts';
import { EpochMemory } from '../coupling/epoch-gate.ts';
import { CouplingError } from '../coupling/errors.ts';
import {
  DEFAULT_TIMES,
  type SessionTimes,
  type TargetHandlers,
  type TargetSession,
} from '../coupling/session.ts';
import { SnapshotInventory } from '../coupling/snapshot-inventory.ts';
import { TargetEnd } from '../coupling/target-end.ts';
import { checkPeer } from './peer-identity.ts';
import { codeOf, handshakeViolation, type TlsCredentials, tlsOptions } from './tls-options.ts';
import { joinStream, TlsStream } from './tls-stream.ts';

const CONNECT_TIMEOUT_MS = 5000;

export interface CouplingClientOptions {
  readonly router: { readonly host: string; readonly address: string; readonly port: number };
  readonly tls: TlsCredentials;
  /** Our own host name. */
  readonly host: string;
  /** Grows with every start of this agent. */
  readonly incarnation: bigint;
  readonly drops: DropCounters;
  readonly handlers: TargetHandlers;
  /** Highest epoch seen, over sessions; shared with the trusted link's check. */
  readonly epochs?: EpochMemory;
  readonly clock?: Clock;
  readonly times?: SessionTimes;
  /** 0 <= random < 1, for the jitter of reconnects. */
  readonly random?: () => number;
  /** An attempt that led to no session, or the end of one; for the log. */
  readonly onFailure?: (reason: string, cause: unknown) => void;
}

/** A target's side of the coupling channel: connects to its routing host, again and again until `stop`. */
export class CouplingClient {
  readonly epochs: EpochMemory;
  readonly #options: CouplingClientOptions;
  readonly #clock: Clock;
  readonly #inventory = new SnapshotInventory();
  readonly #backoff: Backoff;
  #tls: TlsCredentials;
  #times: SessionTimes;
  #isRunning = false;
  #timer: Timer | undefined;
  #socket: TLSSocket | undefined;
  #end: TargetEnd | undefined;

  constructor(options: CouplingClientOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#times = options.times ?? DEFAULT_TIMES;
    this.epochs = options.epochs ?? new EpochMemory();
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff({ ...RECONNECT, random: options.random ?? Math.random });
  }

  /** The session, while it is open. */
  get session(): TargetSession | undefined {
    return this.#end?.isOpen === true ? this.#end : undefined;
  }

  /** Disconnected, until the next attempt. */
  get isWaiting(): boolean {
    return this.#isRunning && this.#socket === undefined;
  }

  start(): void {
    if (this.#isRunning) throw new Error('the coupling client runs already');
    this.#isRunning = true;
    this.#connect();
  }

  /** For the next connection; the session that there is stays. */
  configure(tls: TlsCredentials, times: SessionTimes): void {
    this.#tls = tls;
    this.#times = times;
  }

  /** Ends the session (`stopped`) and stays disconnected. Resolves when the socket is closed. Twice is harmless. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.cancel();
    const socket = this.#socket;
    if (socket === undefined) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (this.#end === undefined) socket.destroy();
    else this.#end.close('stopped');
    await closed;
  }

  #connect(): void {
    const { router } = this.#options;
    const socket = connect({
      ...tlsOptions(this.#tls),
      host: router.address,
      port: router.port,
      checkServerIdentity: (_name, { subjectaltname }) => this.#identityError(subjectaltname),
    });
    this.#socket = socket;
    const timeout = this.#clock.after(CONNECT_TIMEOUT_MS, () =>
      socket.destroy(new Error('connecting timed out')),
    );
    let failure: Error | undefined;
    const onError = (error: Error) => {
      failure = error;
    };
    const onClose = () => {
      timeout.cancel();
      this.#onRefused(failure);
      this.#closed(0);
    };
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      timeout.cancel();
      socket.off('error', onError);
      socket.off('close', onClose);
      this.#startEnd(socket);
    });
  }

  #identityError(subjectAltName: string | undefined): Error | undefined {
    try {
      checkPeer(subjectAltName, 'route', (host) => host === this.#options.router.host);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #onRefused(failure: Error | undefined): void {
    const code = codeOf(failure);
    const reason =
      failure instanceof CouplingError ? failure.code : failure && handshakeViolation(code ?? 'ECLOSED');
    if (reason !== undefined) this.#options.drops.count(reason);
    this.#options.onFailure?.(reason ?? code ?? 'unreachable', failure);
  }

  #startEnd(socket: TLSSocket): void {
    const { host, incarnation, router, drops, handlers } = this.#options;
    const startedAt = this.#clock.now();
    const end = new TargetEnd({
      stream: new TlsStream(socket, this.#clock),
      clock: this.#clock,
      times: this.#times,
      drops,
      host,
      incarnation,
      peerHost: router.host,
      epochs: this.epochs,
      inventory: this.#inventory,
      handlers,
      ended: (closed, reason, cause) => {
        if (reason !== 'stopped') this.#options.onFailure?.(reason, cause);
        const livedMs = closed.epoch === 0 ? 0 : this.#clock.now() - startedAt;
        if (socket.destroyed) this.#closed(livedMs);
        else socket.once('close', () => this.#closed(livedMs));
      },
    });
    this.#end = end;
    joinStream(socket, end);
  }

  #closed(livedMs: number): void {
    this.#socket = undefined;
    this.#end = undefined;
    if (!this.#isRunning) return;
    this.#timer = this.#clock.after(this.#backoff.next(livedMs), () => this.#connect());
  }
}
