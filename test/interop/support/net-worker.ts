/**
 * A process inside a network namespace that does what a test tells it over IPC (`net-host.ts` starts it).
 * Packets travel as hexadecimal text.
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { DropCounters } from '../../../src/base/verdict.ts';
import { LARGE_SLOT_BYTES, PacketVector, slotBytesFor } from '../../../src/dataplane/vector.ts';
import { captureFilter } from '../../../src/io/bpf.ts';
import { Capture, type FilterMaker } from '../../../src/io/capture.ts';
import { LINK_PROTOCOL } from '../../../src/dataplane/ports.ts';
import { Endpoint } from '../../../src/io/endpoint.ts';
import { Crew } from '../../../src/io/crew.ts';
import { BatchLink } from '../../../src/io/link-batch.ts';
import { DgramLink } from '../../../src/io/link-dgram.ts';
import { setPause } from '../../../src/io/pause.ts';
import { RawSocket } from '../../../src/io/raw-socket.ts';
import { RuleChanges } from '../../../src/io/rule-changes.ts';
import { RouterGuard, type RouterGuardOptions } from '../../../src/io/router-guard.ts';
import { runCommand } from '../../../src/io/run-command.ts';
import { TargetGuard, type TargetGuardOptions } from '../../../src/io/target-guard.ts';
import { Tun } from '../../../src/io/tun.ts';
import { parseAddress, type IpAddress } from '../../../src/packet/address.ts';
import { tcpEcho, tcpPour, tcpSend } from './tcp-echo.ts';

/** Addresses as text. */
interface Scope {
  readonly dvipas: string[];
  readonly endpoints: string[];
  /** One packet a system call. */
  readonly plain?: boolean;
}

// For this process (net-host.ts), not for what it starts.
delete process.env['LD_PRELOAD'];

/** What came in at one place, and who waits for it. */
class Inbox {
  readonly packets: string[] = [];
  #wake: () => void = () => {};

  add(packet: string): void {
    this.packets.push(packet);
    this.#wake();
  }

  /** All so far, once one contains `sentinel`; rejects after 5 s with what there is. */
  async take(sentinel: string): Promise<string[]> {
    const limit = Date.now() + 5000;
    while (!this.packets.some((packet) => packet.includes(sentinel))) {
      if (Date.now() >= limit) throw new Error(`no ${sentinel} among ${JSON.stringify(this.packets)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limit - Date.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.packets.splice(0);
  }
}

let crew: Crew | undefined;
const inboxes = new Map<string, Inbox>();
const endpoints = new Map<string, Endpoint | Capture>();
const counts = new Map<string, number>();
const sockets = new Map<string, Socket>();
const targets = new Map<string, TargetGuard>();
interface Link {
  readonly link: DgramLink | BatchLink;
  readonly drops: DropCounters;
  /** Offloads that turned themselves off, and why. */
  readonly off: string[];
}
const links = new Map<string, Link>();

function inbox(name: string): Inbox {
  const found = inboxes.get(name) ?? new Inbox();
  inboxes.set(name, found);
  return found;
}

function watch(name: string, endpoint: Endpoint | Capture): void {
  endpoints.set(name, endpoint);
  const vector = new PacketVector(16);
  endpoint.onReadable(() => {
    vector.reset();
    endpoint.receive(vector);
    for (let i = 0; i < vector.count; i++) inbox(name).add(vector.packet(i).toString('hex'));
  });
}

function target(options: TargetGuardOptions): TargetGuard {
  const key = JSON.stringify(options);
  const guard = targets.get(key) ?? new TargetGuard(options);
  targets.set(key, guard);
  return guard;
}

function filterFor(scope: Scope): FilterMaker {
  const parsed = (texts: string[]) => texts.map((text) => parseAddress(text) as IpAddress);
  const addresses = { dvipas: parsed(scope.dvipas), endpoints: parsed(scope.endpoints) };
  return (linkHeaderBytes) => captureFilter(addresses, linkHeaderBytes);
}

const refusals: string[] = [];

/** By a ring, unless the scope says otherwise. */
function openCapture(link: string, scope: Scope): Capture {
  const onRefused = ({ message }: Error) => void refusals.push(message);
  return Capture.open(link, filterFor(scope), { wantsRing: scope.plain !== true, onRefused });
}

let driver: 'dgram' | 'batch' = 'dgram';
let ruleChanges: RuleChanges | undefined;

async function linkOf(address: string, to: string): Promise<Link> {
  const known = links.get(address);
  if (known !== undefined) return known;
  const drops = new DropCounters();
  const off: string[] = [];
  const onOff = (...what: string[]) => void off.push(what.join(' '));
  const options = { address, drops, mtu: 1500, gso: true, gro: true, onOff };
  const link = driver === 'batch' ? BatchLink.open(options) : await DgramLink.open(options);
  link.setPeer(0, to);
  links.set(address, { link, drops, off });
  return { link, drops, off };
}

/** An endpoint that is not a capture. */
function endpointOf(name: string): Endpoint {
  const found = endpoints.get(name);
  if (!(found instanceof Endpoint)) throw new Error(`no endpoint ${name}`);
  return found;
}

function rawSocket(): RawSocket {
  const found = endpoints.get('raw');
  if (!(found instanceof RawSocket)) throw new Error('no raw socket');
  return found;
}

const operations = {
  /** As on a kernel without IPv6: for this worker only, which has a mount namespace of its own. */
  hideIpv6: () => runCommand('mount', ['-t', 'tmpfs', 'none', '/proc/sys/net/ipv6']),
  /** Undefined if the TUN is as it should be; else why it has no offloads. With queues: and so many workers on all of them. */
  tun(name: string, hasOffloads = false, queues = 1) {
    let why: string | undefined;
    const onNoOffloads = (error: Error) => {
      why = error.message;
    };
    const onOneQueue = ({ message }: Error) => {
      why = `one queue: ${message}`;
    };
    const tun = Tun.open(name, { hasOffloads, onNoOffloads, queues, onOneQueue });
    if (queues > 1) tun.useCrew((crew ??= new Crew(queues)));
    watch(name, tun);
    return why;
  },
  /** Waits until its device was deleted. */
  lost: (name: string) => new Promise<void>((resolve) => endpointOf(name).onLost(resolve)),
  /** Calls that the crew did side by side. */
  crewRuns: () => crew?.stats().runs ?? 0,
  /** From now on what comes out of one TUN goes into the other. */
  relay(a: string, b: string, mtu: number) {
    for (const [from, to] of [
      [endpointOf(a), endpointOf(b)],
      [endpointOf(b), endpointOf(a)],
    ] as const) {
      const vector = new PacketVector(64 * (from instanceof Tun ? from.queues : 1), slotBytesFor(mtu));
      from.onReadable(() => {
        vector.reset();
        if (from.receive(vector) > 0) to.send(vector);
      });
    }
  },
  capture: (link: string, scope: Scope) => watch(link, openCapture(link, scope)),
  /** Opens a capture that is read by `drain` only. */
  captureIdle: (name: string, link: string, scope: Scope) =>
    void endpoints.set(name, openCapture(link, scope)),
  /** Opens a capture whose packets are only counted, for benches: when there are some, or each millisecond, as one who is busy comes. */
  captureCounting(name: string, link: string, scope: Scope, isBusy: boolean) {
    const capture = openCapture(link, scope);
    const vector = new PacketVector(256);
    endpoints.set(name, capture);
    counts.set(name, 0);
    const drain = () => {
      vector.reset();
      while (capture.receive(vector) > 0) {
        counts.set(name, (counts.get(name) ?? 0) + vector.count);
        vector.reset();
      }
    };
    if (isBusy) setInterval(drain, 1);
    else capture.onReadable(drain);
  },
  /** How many packets so far, and the CPU time of this process, microseconds. */
  counted(name: string) {
    const { user, system } = process.cpuUsage();
    return { packets: counts.get(name) ?? 0, cpu: user + system };
  },
  captureOther(name: string, scope: Scope) {
    const capture = endpoints.get(name);
    if (!(capture instanceof Capture)) throw new Error(`no capture ${name}`);
    capture.setFilter(filterFor(scope));
  },
  /** Why rings were refused, since the last call. */
  refusals: () => refusals.splice(0),
  drain(name: string, packets = 256) {
    const vector = new PacketVector(packets);
    endpoints.get(name)?.receive(vector);
    return Array.from({ length: vector.count }, (_, i) => vector.packet(i).toString('hex'));
  },
  losses(name: string) {
    const drops = new DropCounters();
    for (let i = 0; i < 2; i++) endpoints.get(name)?.countLosses(drops);
    return { overrun: drops.get('receive-overrun'), tooBig: drops.get('too-big') };
  },
  /** Sends the same packet over and over. */
  flood(name: string, packet: string, count: number) {
    const vector = new PacketVector(64);
    for (let i = 0; i < 64; i++) vector.push(Buffer.from(packet, 'hex'));
    let sent = 0;
    while (sent < count) {
      vector.verdict.fill(0);
      sent += endpointOf(name).send(vector);
    }
    return sent;
  },
  raw(mark: number, gso = true, runsFrom?: number, workers = 1) {
    const raw = RawSocket.open({ mark, gso, ...(runsFrom !== undefined && { runsFrom }) });
    if (workers > 1) raw.useCrew((crew ??= new Crew(workers)));
    endpoints.set('raw', raw);
  },
  runs: () => rawSocket().runs(),
  /** What `RawSocket.tend` says, or null: IPC has no undefined. */
  tend: () => rawSocket().tend() ?? null,
  send(name: string, ...packets: string[]) {
    const vector = new PacketVector(packets.length);
    for (const packet of packets) vector.push(Buffer.from(packet, 'hex'));
    endpointOf(name).send(vector);
    return [...vector.verdict];
  },
  stats: (name: string) => endpointOf(name).stats(),
  close: (name: string) => endpoints.get(name)?.close(),
  take: (name: string, sentinel: string) => inbox(name).take(sentinel),
  /** `isShared`: with SO_REUSEADDR, as charon's. */
  async udp(name: string, address: string, port: number, isShared = false) {
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', reuseAddr: isShared });
    sockets.set(name, socket);
    socket.on('message', (message, from) =>
      inbox(name).add(`${from.address}:${from.port} ${message.toString('hex')}`),
    );
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, resolve);
    });
  },
  udpClose: (name: string) => new Promise<void>((resolve) => sockets.get(name)?.close(resolve)),
  /** The error's code, or 'sent'. */
  udpSend: (name: string, address: string, port: number, packet: string) =>
    new Promise<string>((resolve) => {
      sockets
        .get(name)
        ?.send(Buffer.from(packet, 'hex'), port, address, (error: NodeJS.ErrnoException | null) =>
          resolve(error?.code ?? 'sent'),
        );
    }),
  /** Over the trusted link, which stays open: a packet of so many zeros and this text; what was dropped so far. */
  async linkSend(from: string, to: string, bytes: number, text: string) {
    const { link, drops } = await linkOf(from, to);
    const vector = new PacketVector(1, LARGE_SLOT_BYTES);
    vector.push(Buffer.concat([Buffer.alloc(bytes - text.length), Buffer.from(text)]));
    vector.target[0] = 0;
    vector.linkProtocol[0] = LINK_PROTOCOL.OUTER_IPV4;
    link.send(vector, 0, 1);
    return drops.toJSON();
  },
  /** The driver of the links that are opened from now on. */
  linkDriver(name: 'dgram' | 'batch') {
    driver = name;
  },
  /** So many packets of so many bytes in one vector; what became of them. */
  async linkBurst(from: string, to: string, count: number, bytes: number) {
    const { link, drops, off } = await linkOf(from, to);
    const vector = new PacketVector(count, bytes + 256);
    for (let i = 0; i < count; i++) vector.push(Buffer.alloc(bytes, i));
    vector.target.fill(0);
    vector.linkProtocol.fill(LINK_PROTOCOL.OUTER_IPV4);
    const sent = link.send(vector, 0, 1);
    vector.countDrops(drops);
    return { ...link.stats(), sent, off, drops: drops.toJSON() };
  },
  pause: (microseconds: number) => setPause(microseconds),
  /** Of this worker so far, in microseconds. */
  cpuTime() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  tcpEcho: (address: string, port: number, isSilent?: boolean) => tcpEcho(address, port, isSilent),
  tcpSend: (address: string, port: number, bytes: number) => tcpSend(address, port, bytes),
  tcpPour: (address: string, port: number, ms: number) => tcpPour(address, port, ms),
  targetInstall: (options: TargetGuardOptions) => target(options).install(),
  targetAddresses: (options: TargetGuardOptions) => target(options).addAddresses(),
  targetRemove: (options: TargetGuardOptions) => target(options).remove(),
  targetIsInstalled: (options: TargetGuardOptions) => target(options).isInstalled(),
  targetCounters: (options: TargetGuardOptions) => target(options).counters(),
  routerInstall: (options: RouterGuardOptions) => new RouterGuard(options).install(),
  routerRemove: (options: RouterGuardOptions) => new RouterGuard(options).remove(),
  routerIsInstalled: (options: RouterGuardOptions) => new RouterGuard(options).isInstalled(),
  /** Whether rules have changed since the last call, or since the first one. */
  ruleNews() {
    ruleChanges ??= RuleChanges.open();
    return ruleChanges.takeNews();
  },
  routerCounters: (options: RouterGuardOptions) => new RouterGuard(options).counters(),
};

export type Operations = typeof operations;

interface Request {
  readonly id: number;
  readonly operation: keyof Operations;
  readonly values: unknown[];
}

process.on('message', (request: Request) => {
  const operation = operations[request.operation] as (...values: unknown[]) => unknown;
  new Promise((resolve) => {
    resolve(operation(...request.values));
  }).then(
    (value) => process.send?.({ id: request.id, value }),
    (error: unknown) => process.send?.({ id: request.id, error: String(error) }),
  );
});
// The test went away: so do we.
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0, value: 'ready' });
