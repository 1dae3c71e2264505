import type { CloseReason } from '../../../src/coupling/errors.ts';
import type { DvipaConfig } from '../../../src/config/index.ts';
import { RoutingEnd } from '../../../src/coupling/routing-end.ts';
import { DEFAULT_TIMES } from '../../../src/coupling/session.ts';
import { TargetEnd } from '../../../src/coupling/target-end.ts';
import type { PluginLimit } from '../../../src/vici/index.ts';
import { Random } from '../../sim/event-queue.ts';
import type { EspSuite } from '../esp-peer.ts';
import { ACK, DVIPA, RST, SYN, tcp } from '../inner-packets.ts';
import { ManualClock } from '../manual-clock.ts';
import { type MemoryStream, memoryWire } from '../memory-wire.ts';
import { innerOf, MemoryCharon, outerOf, type SaPair } from './charon.ts';
import { dataOf, MARKER, MemoryClient } from './client.ts';
import { Network } from './network.ts';
import { MemoryRouter, type RouterOptions } from './router.ts';
import { MemoryTarget } from './target.ts';

export interface ClusterOptions {
  readonly seed?: number;
  readonly targets?: number;
  /** The first so many targets are authorised for the DVIPA; all, unless given. */
  readonly authorised?: number;
  readonly stamping?: 'on' | 'off';
  readonly clients?: number;
  readonly suite?: EspSuite;
  /** The clients' anti-replay window, packets. */
  readonly peerWindow?: number;
  /** All clients have the inner address of the first. */
  readonly alike?: boolean;
  /** Settings of the DVIPA that are not the usual ones. */
  readonly dvipa?: Partial<DvipaConfig>;
}

interface Session {
  readonly router: MemoryRouter;
  readonly target: MemoryTarget;
  readonly routingEnd: RoutingEnd;
  readonly targetEnd: TargetEnd;
  readonly streams: readonly MemoryStream[];
}

/**
 * A routing host, its targets and clients in one process: the real data planes, state machines, sessions and agents'
 * classes, joined by memory. Time moves with `run`. Everything random follows from the seed.
 */
export class MemoryCluster {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly network: Network;
  readonly charon: MemoryCharon;
  readonly clients: MemoryClient[];
  readonly targets: MemoryTarget[] = [];
  router: MemoryRouter;
  /** Where each packet's text was delivered: targets, once each in the best case. */
  readonly delivered = new Map<string, number[]>();
  readonly violations: string[] = [];
  /** What strangers sent in clear, by its text, and what left for them. */
  readonly sentInClear = new Set<string>();
  readonly leftInClear: Buffer[] = [];
  /** Who sent to the outside, once each: `router` or a target's number. */
  readonly senders = new Set<'router' | number>();
  /** Rekeys that were asked for, over all lives of the routing agent: cause and direction. */
  readonly rekeys: string[] = [];
  /** Targets that cannot reach the routing host's coupling port, though they live and the trusted link works. */
  readonly isolated = new Set<number>();
  readonly #sessions = new Set<Session>();
  readonly #retryAt = new Map<number, number>();
  readonly #isRekeying = new Set<number>();
  readonly #asked: { readonly n: number; readonly spi: number }[] = [];
  readonly #counts: Pick<RouterOptions, 'targets' | 'authorised' | 'dvipa' | 'stamping'>;
  /** What the targets' hosts keep when their agents are killed. */
  readonly #inMaintenance = new Set<number>();
  #incarnation = 1n;

  constructor(options: ClusterOptions = {}) {
    const { targets = 3, clients = 1, suite = 'aes128gcm16', peerWindow = 64 } = options;
    this.random = new Random(options.seed ?? 1);
    this.network = new Network(this.clock, this.random);
    const inner = (n: number) => innerOf(options.alike === true ? 1 : n);
    this.charon = new MemoryCharon(this.clock, this.random, suite, inner);
    this.clients = Array.from(
      { length: clients },
      (_, i) => new MemoryClient(i + 1, peerWindow, inner(i + 1)),
    );
    this.#counts = {
      targets,
      authorised: options.authorised ?? targets,
      dvipa: options.dvipa,
      stamping: options.stamping,
    };
    this.router = this.#newRouter();
    for (let n = 1; n <= targets; n++) this.startTarget(n);
  }

  client(n: number): MemoryClient {
    return this.clients[n - 1] as MemoryClient;
  }

  target(n: number): MemoryTarget {
    return this.targets[n - 1] as MemoryTarget;
  }

  /** Milliseconds, one after the other (or `step` at once); what was due and sent in each is handled before the next. */
  async run(ms: number, step = 1): Promise<void> {
    for (let i = 0; i < ms; i += step) {
      this.#connect();
      this.clock.advance(step);
      this.network.deliver();
      this.router.deliver();
      for (const target of this.targets) target.deliver();
      await this.#settle();
      this.#carryOutRekeys();
      for (const bytes of this.network.wiretap.splice(0)) {
        if (bytes.includes(MARKER)) this.violations.push('plaintext on a wire');
      }
    }
  }

  /** Sessions up, a CHILD_SA for each client, and its outbound switch done. */
  async up(bytes?: PluginLimit): Promise<void> {
    await this.run(5);
    for (const { n } of this.clients) await this.newPair(n, bytes);
  }

  /** A CHILD_SA as charon makes it: SAs, barrier, policy. The client sends on it from then on. */
  async newPair(n: number, bytes?: PluginLimit): Promise<SaPair> {
    const pair = this.charon.addPair(n, bytes);
    this.client(n).accept(pair);
    for (let waited = 0; waited < 200 && !this.charon.acknowledged.has(pair.idIn); waited++)
      await this.run(1);
    this.client(n).use(pair);
    for (let waited = 0; waited < 200 && !this.charon.acknowledged.has(pair.idOut); waited++)
      await this.run(1);
    this.charon.usePair(pair);
    return pair;
  }

  /** A rekey: the new pair, and the old one gone a moment later. Same limits. */
  async rekey(n: number): Promise<SaPair> {
    const old = this.charon.pairs.filter(({ client }) => client === n);
    const pair = await this.newPair(n, old[0]?.bytes);
    await this.run(30);
    for (const one of old) this.charon.deletePair(one);
    return pair;
  }

  /** From the client's host to the routing host's capture. */
  send(datagram: Buffer): void {
    this.network.carry(datagram, () => this.router.captured(datagram));
  }

  /** A stranger's packet, in clear. */
  sendInClear(packet: Buffer): void {
    this.sentInClear.add(dataOf(packet));
    this.clock.after(1, () => this.router.captured(packet));
  }

  /** Where the packet was delivered, once. */
  deliveredTo(text: string): number | undefined {
    const at = this.delivered.get(text);
    return at?.length === 1 ? at[0] : undefined;
  }

  startTarget(n: number): void {
    const sockets = new Set<string>();
    this.targets[n - 1] = new MemoryTarget(
      {
        n,
        clock: this.clock,
        network: this.network,
        toOutside: (datagram) => this.#toClient(datagram, n),
        application: (inner) => this.#serve(n, sockets, inner),
        inMaintenance: this.#inMaintenance,
      },
      this.#incarnation++,
    );
  }

  /** kill -9 of a target's agent; its sockets are closed by its kernel, or (`isSilent`) nobody is told. */
  killTarget(n: number, isSilent = false): void {
    this.target(n).kill();
    this.cut(n, isSilent);
  }

  /** Ends the session of a target; silent: the wire is dead, and only heartbeats tell. */
  cut(n: number, isSilent = false): void {
    for (const session of this.#sessions) if (session.target.n === n) this.#cut(session, isSilent);
  }

  killRouter(): void {
    this.router.kill();
    for (const session of this.#sessions) this.#cut(session, false);
  }

  startRouter(): void {
    this.router = this.#newRouter();
  }

  /** Everything is killed; what is left of it are timers, if somebody forgot one. */
  close(): void {
    this.killRouter();
    for (const { n, isUp } of this.targets) if (isUp) this.killTarget(n);
  }

  /** All that must never be, by whoever saw it. */
  get allViolations(): string[] {
    const twice = [...this.delivered]
      .filter(([, at]) => at.length > 1)
      .map(([text, at]) => `${text} at ${at.join()}`);
    const invented = [...this.delivered.keys()].filter(
      (text) => !this.sentInClear.has(text) && !this.clients.some(({ sent }) => sent.has(text)),
    );
    return [
      ...this.violations,
      ...this.clients.flatMap(({ violations }) => violations),
      ...twice.map((what) => `delivered twice: ${what}`),
      ...invented.map((what) => `delivered, never sent: ${what}`),
      ...this.clients.flatMap(({ answered }) =>
        [...answered].filter(([, count]) => count > 1).map(([text]) => `answered twice: ${text}`),
      ),
    ];
  }

  #newRouter(): MemoryRouter {
    const { clock, charon, network } = this;
    const toOutside = (datagram: Buffer) => this.#toClient(datagram, 'router');
    const router = new MemoryRouter({ clock, charon, network, toOutside, ...this.#counts });
    router.gate.onRaised(() => {
      for (const session of this.#sessions)
        if (session.router === router) session.routingEnd.close('epoch-raised');
    });
    return router;
  }

  #toClient(datagram: Buffer, sender: 'router' | number): void {
    this.senders.add(sender);
    if (datagram.subarray(12, 16).join('.') === DVIPA) {
      this.leftInClear.push(datagram);
      return;
    }
    const to = datagram.subarray(16, 20).join('.');
    const client = this.clients.find(({ n }) => outerOf(n) === to);
    if (client === undefined) {
      this.violations.push(`a datagram to ${to}`);
      return;
    }
    client.leaves(datagram);
    this.network.wiretap.push(datagram);
    this.clock.after(1, () => client.receives(datagram)); // this way is ideal: the window must accept everything
  }

  /** A kernel with an application: SYN is answered by SYN and ACK, data by data, a stranger by RST. */
  #serve(n: number, sockets: Set<string>, inner: Buffer): readonly Buffer[] {
    const text = dataOf(inner);
    this.delivered.set(text, [...(this.delivered.get(text) ?? []), n]);
    const source = inner.subarray(12, 16).join('.');
    const port = inner.readUInt16BE(20);
    const flags = inner.readUInt8(33);
    const name = `${source}:${port}`;
    const isOpening = (flags & SYN) !== 0;
    if (isOpening && this.target(n).listening.tcp.has(inner.readUInt16BE(22))) sockets.add(name);
    const answer = !sockets.has(name) ? RST : isOpening ? SYN | ACK : ACK;
    const to = { source: DVIPA, destination: source, sourcePort: 80, destinationPort: port };
    return [tcp({ ...to, flags: answer, data: answer === RST ? '' : text })];
  }

  #connect(): void {
    const { router, clock, random } = this;
    if (!router.isUp) return;
    for (const target of this.targets) {
      const has = [...this.#sessions].some((session) => session.target === target);
      if (
        !target.isUp ||
        router.cluster.peer(target.host) === undefined ||
        this.isolated.has(target.n) ||
        has ||
        (this.#retryAt.get(target.n) ?? 0) > clock.now()
      )
        continue;
      this.#retryAt.set(target.n, clock.now() + random.integer(5, 50));
      this.#join(router, target);
    }
  }

  #join(router: MemoryRouter, target: MemoryTarget): void {
    const { clock } = this;
    const streams = memoryWire();
    const ended = () => this.#sessions.delete(session);
    const common = { clock, times: DEFAULT_TIMES };
    const routingEnd = new RoutingEnd({
      ...common,
      stream: streams[0],
      drops: router.drops,
      host: 'router1',
      peerHost: target.host,
      epochs: router.gate,
      handlers: router.sessions,
      admit: (candidate) => this.#admit(router, candidate),
      ended,
    });
    streams[0].receiver = routingEnd;
    const targetEnd = new TargetEnd({
      ...common,
      stream: streams[1],
      drops: target.drops,
      host: target.host,
      incarnation: target.incarnation,
      peerHost: 'router1',
      epochs: target.epochs,
      inventory: target.inventory,
      handlers: target.relations,
      ended,
    });
    streams[1].receiver = targetEnd;
    const session: Session = { router, target, routingEnd, targetEnd, streams };
    this.#sessions.add(session);
    this.#ends.add(routingEnd);
  }

  /** Ends that the routing host still believes in; as in `coupling-server.ts`. */
  readonly #ends = new Set<RoutingEnd>();

  #admit(_router: MemoryRouter, candidate: RoutingEnd): CloseReason | undefined {
    const others = [...this.#ends].filter((end) => end !== candidate && end.host === candidate.host);
    if (others.some((end) => end.isOpen && end.incarnation > candidate.incarnation)) return 'coupling-limit';
    for (const end of others) {
      this.#ends.delete(end);
      end.close('replaced');
    }
    return undefined;
  }

  #cut(session: Session, isSilent: boolean): void {
    this.#sessions.delete(session);
    if (isSilent) for (const stream of session.streams) stream.isFrozen = true;
    const { router, target, routingEnd, targetEnd } = session;
    if (!isSilent || !router.isUp) routingEnd.streamClosed();
    if (!isSilent || !target.isUp) targetEnd.streamClosed();
  }

  /** Delivers records until none is on its way; promises get their turn. */
  async #settle(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      for (const { streams } of this.#sessions) for (const stream of streams) stream.flush();
      await new Promise((resolve) => setImmediate(resolve));
      const isBusy = [...this.#sessions].some(({ streams }) =>
        streams.some((stream) => stream.pendingBytes > 0),
      );
      if (!isBusy) return;
    }
  }

  /** What was asked for while charon was busy with the same client waits. */
  #carryOutRekeys(): void {
    for (const { entry, cause } of this.router.rekeyer.asked.splice(0)) {
      this.rekeys.push(`${cause} ${entry.sa.direction}`);
      this.#asked.push({ n: entry.sa.group, spi: entry.sa.spi });
    }
    for (const asked of this.#asked.splice(0)) {
      const isCurrent = this.charon.pairs.some(
        ({ spiIn, spiOut }) => spiIn === asked.spi || spiOut === asked.spi,
      );
      if (isCurrent && this.#isRekeying.has(asked.n)) this.#asked.push(asked);
      else if (isCurrent) this.rekeySoon(asked.n);
    }
  }

  /** A rekey that charon carries out while other things happen; one at a time for a client. */
  rekeySoon(n: number): void {
    if (this.#isRekeying.has(n)) return;
    this.#isRekeying.add(n);
    this.clock.after(20, () => this.#rekeyAsCharon(n));
  }

  /** The steps of `rekey` on the clock, while other things happen. */
  #rekeyAsCharon(n: number): void {
    const old = this.charon.pairs.filter(({ client }) => client === n);
    const pair = this.charon.addPair(n, old[0]?.bytes);
    this.client(n).accept(pair);
    const startedAt = this.clock.now();
    const whenServed = (id: string, then: () => void) => {
      const isLate = this.clock.now() - startedAt > 200;
      if (isLate || this.charon.acknowledged.has(id)) then();
      else this.clock.after(1, () => whenServed(id, then));
    };
    whenServed(pair.idIn, () => {
      this.client(n).use(pair);
      whenServed(pair.idOut, () => {
        this.charon.usePair(pair);
        this.clock.after(30, () => {
          for (const one of old) this.charon.deletePair(one);
          this.#isRekeying.delete(n);
        });
      });
    });
  }
}
