import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import type { DropCounters } from '../base/verdict.ts';
import type { EpochGate } from '../coupling/epoch-gate.ts';
import { type CloseReason, CouplingError, type CouplingViolation } from '../coupling/errors.ts';
import { RoutingEnd } from '../coupling/routing-end.ts';
import {
  DEFAULT_TIMES,
  type RoutingHandlers,
  type RoutingSession,
  type SessionTimes,
} from '../coupling/session.ts';
import { checkPeer } from './peer-identity.ts';
import { codeOf, handshakeViolation, type TlsCredentials, tlsOptions } from './tls-options.ts';
import { joinStream, TlsStream } from './tls-stream.ts';

/** Connections whose TLS handshake is not done. */
const HANDSHAKES_MAX = 16;
/** Of these, from one address: so that one stranger cannot keep all targets out. */
const HANDSHAKES_PER_ADDRESS_MAX = 4;
const HANDSHAKE_TIMEOUT_MS = 5000;
/** The one in use, and one that will replace it. */
const SESSIONS_PER_HOST_MAX = 2;

/** Why a connection got no session; for the log. It is counted already. */
export interface Refusal {
  readonly reason: CouplingViolation;
  readonly address: string | undefined;
  readonly message: string;
}

export interface CouplingServerOptions {
  /** Cluster address and port; port 0: any free one. */
  readonly address: string;
  readonly port: number;
  readonly tls: TlsCredentials;
  /** Our own host name. */
  readonly host: string;
  /** Whether a host is one of the configured targets. */
  readonly isTarget: (host: string) => boolean;
  readonly epochs: Pick<EpochGate, 'admit' | 'onRaised'>;
  readonly drops: DropCounters;
  readonly handlers: RoutingHandlers;
  readonly clock?: Clock;
  readonly times?: SessionTimes;
  readonly handshakeTimeoutMs?: number;
  readonly onRefused?: (refusal: Refusal) => void;
  /** The end of every session, opened or not. */
  readonly onEnded?: (host: string, reason: CloseReason, cause: unknown) => void;
}

/** The routing host's side of the coupling channel: TLS in, one `RoutingEnd` per target out. */
export class CouplingServer {
  readonly #options: CouplingServerOptions;
  readonly #clock: Clock;
  readonly #listener: Server;
  readonly #tls: TlsServer;
  readonly #handshakes = new Map<string, Socket>();
  readonly #ends = new Set<RoutingEnd>();
  readonly #sockets = new Set<TLSSocket>();
  #times: SessionTimes;

  constructor(options: CouplingServerOptions) {
    this.#options = options;
    this.#times = options.times ?? DEFAULT_TIMES;
    this.#clock = options.clock ?? systemClock;
    this.#tls = createTlsServer({
      ...tlsOptions(options.tls),
      handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    });
    this.#tls.on('secureConnection', (socket) => this.#onSecure(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#onHandshakeFailed(error, socket));
    this.#listener = createServer((socket) => this.#onConnection(socket));
    options.epochs.onRaised(() => this.#onEpochRaised());
  }

  /** Resolves with the port when connections are accepted. */
  listen(): Promise<number> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(port, address, () => {
        this.#listener.off('error', reject);
        resolve((this.#listener.address() as AddressInfo).port);
      });
    });
  }

  /** For connections that come from now on; sessions that there are stay. Throws if OpenSSL does not take the credentials. */
  configure(tls: TlsCredentials, times: SessionTimes): void {
    this.#tls.setSecureContext(tlsOptions(tls));
    this.#times = times;
  }

  /** The open session of a host. */
  session(host: string): RoutingSession | undefined {
    return this.sessions().find((session) => session.host === host);
  }

  sessions(): RoutingSession[] {
    return [...this.#ends].filter((end) => end.isOpen);
  }

  /** Ends every session (`stopped`) and stops listening. Resolves when all sockets are closed. Twice is harmless. */
  async close(): Promise<void> {
    const unbound = new Promise<void>((resolve) => this.#listener.close(() => resolve())); // also if it never listened
    for (const end of this.#ends) end.close('stopped');
    for (const socket of this.#handshakes.values()) socket.destroy();
    const sockets = [...this.#sockets];
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    await unbound;
  }

  #onConnection(socket: Socket): void {
    socket.on('error', () => {}); // reported by the TLS socket on top of it
    const { remoteAddress } = socket;
    const same = [...this.#handshakes.values()].filter((other) => other.remoteAddress === remoteAddress);
    if (this.#handshakes.size >= HANDSHAKES_MAX || same.length >= HANDSHAKES_PER_ADDRESS_MAX) {
      this.#refuse('coupling-limit', remoteAddress, 'too many handshakes at once');
      socket.destroy();
      return;
    }
    const key = peerOf(socket);
    this.#handshakes.set(key, socket);
    socket.once('close', () => this.#handshakes.delete(key));
    this.#tls.emit('connection', socket);
  }

  #onHandshakeFailed(error: Error, socket: TLSSocket): void {
    const { authorizationError } = socket as { authorizationError?: unknown };
    const code = typeof authorizationError === 'string' ? authorizationError : codeOf(error);
    const reason = code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'coupling-limit' : handshakeViolation(code);
    if (reason !== undefined) this.#refuse(reason, socket.remoteAddress, code ?? error.message);
    socket.destroy();
  }

  #onSecure(socket: TLSSocket): void {
    this.#handshakes.delete(peerOf(socket));
    try {
      const { host } = checkPeer(
        socket.getPeerCertificate().subjectaltname,
        'target',
        this.#options.isTarget,
      );
      if ([...this.#ends].filter((end) => end.host === host).length >= SESSIONS_PER_HOST_MAX) {
        throw new CouplingError('coupling-limit', `too many sessions of ${host}`);
      }
      this.#startEnd(socket, host);
    } catch (error) {
      socket.on('error', () => {});
      if (error instanceof CouplingError) this.#refuse(error.code, socket.remoteAddress, error.message);
      socket.destroy();
    }
  }

  #startEnd(socket: TLSSocket, peerHost: string): void {
    const { host, epochs, handlers, drops } = this.#options;
    const end = new RoutingEnd({
      stream: new TlsStream(socket, this.#clock),
      clock: this.#clock,
      times: this.#times,
      drops,
      host,
      peerHost,
      epochs,
      handlers,
      admit: (candidate) => this.#admit(candidate),
      ended: (closed, reason, cause) => {
        this.#ends.delete(closed);
        this.#options.onEnded?.(closed.host, reason, cause);
      },
    });
    this.#ends.add(end);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    joinStream(socket, end);
  }

  /** A later life of a target replaces an earlier one, and so does its next connection; an earlier life is refused. */
  #admit(candidate: RoutingEnd): CloseReason | undefined {
    const others = [...this.#ends].filter((end) => end !== candidate && end.host === candidate.host);
    if (others.some((end) => end.incarnation > candidate.incarnation)) return 'coupling-limit';
    for (const end of others) end.close('replaced');
    return undefined;
  }

  /** A session lives in one epoch: its target comes back and gets the new one. */
  #onEpochRaised(): void {
    for (const end of this.#ends) if (end.isOpen) end.close('epoch-raised');
  }

  #refuse(reason: CouplingViolation, address: string | undefined, message: string): void {
    this.#options.drops.count(reason);
    this.#options.onRefused?.({ reason, address, message });
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
