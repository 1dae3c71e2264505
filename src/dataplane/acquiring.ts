import { type DropCounters, ELSEWHERE, type Verdict, verdictOf } from '../base/verdict.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import { HeldPackets } from './held-packets.ts';
import { PacketVector, LARGE_SLOT_BYTES } from './vector.ts';

const NO_SA = verdictOf('no-sa');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');

/** An exchange of IKE takes two round trips to the peer, and a peer that is far away or busy some seconds. */
const WAITING = { capacity: 256, perKey: 32, holdMs: 4000 };
/** charon ignores what it is busy with; so long it is not asked again. */
const ASK_AGAIN_MS = 1000;

export interface AcquiringOptions {
  /** The policy of packet `i`, which has no usable SA; undefined: none. */
  readonly policyOf: (vector: PacketVector, i: number) => OutboundPolicy | undefined;
  /** Is there an SA for packet `i` now? */
  readonly hasSa: (vector: PacketVector, i: number) => boolean;
  /** Asks the routing host for an SA, for packet `i`. False: there is none to ask. */
  readonly ask: (policy: OutboundPolicy, vector: PacketVector, i: number) => boolean;
  /** Packets that may go now. */
  readonly send: (vector: PacketVector, now: number) => void;
  readonly drops: DropCounters;
}

/**
 * Packets of policies that have no SA yet, only a trap (RFC 4301 section 4.4.1, "Outbound, PROTECT", without an SA): charon is asked
 * to make one, and they wait for it.
 */
export class Acquiring {
  readonly #options: AcquiringOptions;
  readonly #held: HeldPackets;
  /** When the routing host was asked last, by policy. */
  readonly #askedAt = new Map<string, number>();
  readonly #probe = new PacketVector(1, LARGE_SLOT_BYTES);

  constructor(options: AcquiringOptions) {
    this.#options = options;
    this.#held = new HeldPackets(WAITING, options.send);
  }

  /** Packet `i`, for which there is no SA: it waits (ELSEWHERE) if its policy is a trap. */
  hold(vector: PacketVector, i: number, now: number): Verdict {
    const { policyOf, ask } = this.#options;
    const policy = policyOf(vector, i);
    if (policy === undefined || policy.spi !== undefined) return NO_SA;
    if (!this.#held.hold(policy.key, vector.packet(i), now)) return QUEUE_OVERFLOW;
    const askedAt = this.#askedAt.get(policy.key) ?? -Infinity;
    if (now - askedAt >= ASK_AGAIN_MS && ask(policy, vector, i)) this.#askedAt.set(policy.key, now);
    return ELSEWHERE;
  }

  /** There is a routing host to ask, and it was asked nothing yet. */
  sessionOpened(now: number): void {
    this.#askedAt.clear();
    this.changed(now);
  }

  /** An SA or a policy is there: what waits may go now. */
  changed(now: number): void {
    for (const key of this.#held.names()) this.#held.release(key, now, (packet) => this.#mayGo(packet));
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    this.#held.expire(now, this.#options.drops);
    for (const [key, at] of this.#askedAt) if (now - at >= ASK_AGAIN_MS) this.#askedAt.delete(key);
  }

  #mayGo(packet: Buffer): boolean {
    const probe = this.#probe;
    probe.reset();
    const mayGo = probe.push(packet) && this.#options.hasSa(probe, 0);
    probe.packet(0).fill(0);
    return mayGo;
  }
}
