import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { type ConnectionKey, newConnectionKey } from '../connections/connection-key.ts';
import type { FlowTracker } from '../connections/flow-tracker.ts';
import type { Ports } from '../connections/port-leases.ts';
import { SettledFlows } from '../connections/settled-flows.ts';
import { isOpening, TCP_NONE } from '../connections/tcp-state.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, formatAddress } from '../packet/address.ts';
import { IP_PROTOCOL, isEchoRequest, isIcmp } from '../packet/protocols.ts';
import { echoKey } from './echo-key.ts';
import { readFlowKey } from './flow-key.ts';
import { HeldPackets } from './held-packets.ts';
import type { PacketVector } from './vector.ts';

const NOT_LEASED = verdictOf('source-port-not-leased');
const TAKEN = verdictOf('source-port-taken');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');

/** Packets whose flows the routing host was asked for. */
const WAITING = { capacity: 256, perKey: 8, holdMs: 1000 };
const SETTLED_FLOWS = 2 ** 13;
/** Half of what the routing host keeps an unreported flow for, so that it is asked again well before. */
const SETTLED_MS = 30_000;

/** Of `preview`: the packet passes, and the routing host is asked again before its answer is too old. */
export const ASK_AGAIN: Verdict = 251;

/** Source ports of a DVIPA: those that are leased to anybody, and those of this target. */
export interface LeasedPorts {
  readonly all: Ports;
  readonly own: Ports | undefined;
}

export interface OpenedFlowsOptions {
  /** Of the DVIPA at `words[at]`; undefined: none is leased. */
  readonly leasesOf: (words: Uint32Array, at: number) => LeasedPorts | undefined;
  readonly flows: Pick<FlowTracker, 'stateOf'>;
  /** `HASH_SEED_BYTES` random bytes. */
  readonly seed: Uint8Array;
  /** Asks the routing host whether this target may open the flow. The key is the callee's to keep. */
  readonly ask: (key: ConnectionKey) => void;
  /** Packets that may go now. */
  readonly send: (vector: PacketVector, now: number) => void;
  readonly drops: DropCounters;
}

/**
 * Flows that applications of a target open from a DVIPA (docs/distribution.md): the routing host must know where the answer belongs
 * before it comes. From a leased port it does. Any other flow, and every ICMP echo, is asked for, and its first packet waits for
 * the answer. What answers a peer passes: its packets came from the routing host.
 */
export class OpenedFlows {
  readonly #options: OpenedFlowsOptions;
  readonly #settled: SettledFlows;
  readonly #held: HeldPackets;
  readonly #asked = new Map<string, ConnectionKey>();
  readonly #key = newConnectionKey();
  /** What was granted passes even if it could not be remembered. */
  #isReleasing = false;

  constructor(options: OpenedFlowsOptions) {
    this.#options = options;
    this.#settled = new SettledFlows({ seed: options.seed, maxFlows: SETTLED_FLOWS, lifeMs: SETTLED_MS });
    this.#held = new HeldPackets(WAITING, options.send);
  }

  /** Outbound packet `i` of an SA group, whose headers were read. ELSEWHERE: it waits. */
  check(vector: PacketVector, i: number, group: number, now: number): Verdict {
    if (this.#isReleasing) return KEEP;
    const verdict = this.preview(vector, i, group, now);
    if (verdict === ELSEWHERE) return this.#hold(this.#key, vector, i, now);
    if (verdict === ASK_AGAIN) this.#askOnce(nameOf(this.#key), this.#key);
    return verdict === ASK_AGAIN ? KEEP : verdict;
  }

  /** What `check` would say; nothing is held and nobody is asked. `ASK_AGAIN`: it passes. */
  preview(vector: PacketVector, i: number, group: number, now: number): Verdict {
    if (!mayOpen(vector, i)) return KEEP;
    const protocol = vector.protocol[i] as number;
    const key = readFlowKey(this.#key, vector, i, false, group);
    if (isIcmp(protocol)) echoKey(key, protocol, vector.sourcePort[i] as number);
    else {
      const port = vector.sourcePort[i] as number;
      const leases = this.#options.leasesOf(vector.innerSource, i * ADDRESS_WORDS);
      if (isIn(leases?.own, port)) return KEEP;
      if (protocol === IP_PROTOCOL.UDP && this.#options.flows.stateOf(key) !== TCP_NONE) return KEEP;
      if (isIn(leases?.all, port)) {
        const isAnswer = protocol === IP_PROTOCOL.UDP && this.#settled.remainingMs(key, now) > 0;
        return isAnswer ? KEEP : NOT_LEASED;
      }
    }
    const remainingMs = this.#settled.remainingMs(key, now);
    if (remainingMs === 0) return ELSEWHERE;
    return remainingMs < SETTLED_MS / 2 ? ASK_AGAIN : KEEP;
  }

  /** An authenticated packet of the peer: this target may answer, from whichever port. */
  heard(vector: PacketVector, i: number, group: number, now: number): void {
    if (vector.protocol[i] !== IP_PROTOCOL.UDP || vector.fragment[i] === FRAGMENT.LATER) return;
    this.#settled.heard(readFlowKey(this.#key, vector, i, true, group), now);
  }

  /** What the routing host says. An answer to nothing is passed over. */
  answered(key: ConnectionKey, isYours: boolean, now: number): void {
    const name = nameOf(key);
    if (!this.#asked.delete(name)) return;
    if (!isYours) {
      this.#settled.forget(key);
      this.#held.refuse(name, TAKEN, this.#options.drops);
      return;
    }
    this.#settled.granted(key, now);
    this.#isReleasing = true;
    try {
      this.#held.release(name, now);
    } finally {
      this.#isReleasing = false;
    }
  }

  /** There is a routing host to ask, and it was asked nothing yet. */
  sessionOpened(): void {
    this.#settled.forgetGranted();
    for (const key of this.#asked.values()) this.#options.ask(key);
  }

  tick(now: number): void {
    this.#held.expire(now, this.#options.drops);
    this.#settled.sweep(now);
    for (const [name, key] of this.#asked) {
      if (!this.#held.has(name) && this.#settled.remainingMs(key, now) === 0) this.#asked.delete(name);
    }
  }

  #hold(key: ConnectionKey, vector: PacketVector, i: number, now: number): Verdict {
    const name = nameOf(key);
    if (!this.#held.hold(name, vector.packet(i), now)) return QUEUE_OVERFLOW;
    this.#askOnce(name, key);
    return ELSEWHERE;
  }

  #askOnce(name: string, key: ConnectionKey): void {
    if (this.#asked.has(name)) return;
    const copy = { ...key, dvipa: key.dvipa.slice(), source: key.source.slice() };
    this.#asked.set(name, copy);
    this.#options.ask(copy);
  }
}

/** Can packet `i` be the first of a flow that this host opens? */
function mayOpen(vector: PacketVector, i: number): boolean {
  if (vector.fragment[i] === FRAGMENT.LATER) return false;
  const protocol = vector.protocol[i] as number;
  if (protocol === IP_PROTOCOL.TCP) return isOpening(vector.tcpFlags[i] as number);
  if (protocol === IP_PROTOCOL.UDP) return true;
  return isIcmp(protocol) && isEchoRequest(protocol, (vector.destinationPort[i] as number) >>> 8);
}

function isIn(ports: Ports | undefined, port: number): boolean {
  return ports !== undefined && port >= ports.from && port <= ports.to;
}

function nameOf({ dvipa, group, protocol, source, sourcePort, destinationPort }: ConnectionKey): string {
  return `${formatAddress(dvipa)} ${group} ${protocol} ${formatAddress(source)} ${sourcePort} ${destinationPort}`;
}
