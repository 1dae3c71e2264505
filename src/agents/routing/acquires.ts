import type { Clock } from '../../base/clock.ts';
import type { TargetBodies } from '../../coupling/records.ts';
import { containsAddress, matchesSelector, type TrafficSelector } from '../../ipsec/traffic-selector.ts';
import type { Log } from '../../observe/log.ts';
import { parseAddress, writeAddress } from '../../packet/address.ts';
import { hasPorts } from '../../packet/protocols.ts';
import { acquireSa, type Requester } from '../../vici/index.ts';
import type { RoutingSas } from './routing-sas.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

/** charon is asked for an SA of one policy once in so long, whichever targets ask. */
const ACQUIRE_INTERVAL_MS = 1000;
/** In all, in so long: each is an exchange with a peer. */
const ACQUIRES_PER_INTERVAL = 64;

export interface AcquiresOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly plugin: Requester;
}

/**
 * Targets whose packets wait for an SA: charon has only a trap, and is asked to make one. A target is believed about policies that it
 * was given, and about packets that those are about. What charon makes of it comes as any SA does.
 */
export class Acquires {
  readonly #options: AcquiresOptions;
  /** By policy; only of the last interval. */
  readonly #askedAt = new Map<string, number>();

  constructor(options: AcquiresOptions) {
    this.#options = options;
  }

  /** False: the target was not given such a policy, or the packet is none that it is about. */
  asked(peer: TargetPeer, body: TargetBodies['acquire']): boolean {
    const { cluster, sas } = this.#options;
    const policy = sas.outbound.policy(body.key);
    if (policy === undefined) return true; // gone meanwhile
    if (cluster.serviceOf(policy)?.targets.has(peer.host) !== true) return false;
    const { protocol, source, sourcePort, destination, destinationPort } = body;
    const isItsOwn =
      isAbout(policy.source, source, protocol, sourcePort) &&
      isAbout(policy.destination, destination, protocol, destinationPort);
    if (!isItsOwn) return false;
    // With an SPI: the SA has come meanwhile.
    if (policy.spi === undefined && this.#isDue(policy.key)) this.#ask(peer, body);
    return true;
  }

  #isDue(key: string): boolean {
    const now = this.#options.clock.now();
    for (const [each, at] of this.#askedAt) {
      if (now - at >= ACQUIRE_INTERVAL_MS) this.#askedAt.delete(each);
    }
    if (this.#askedAt.has(key) || this.#askedAt.size >= ACQUIRES_PER_INTERVAL) return false;
    this.#askedAt.set(key, now);
    return true;
  }

  #ask({ host }: TargetPeer, { key, ...packet }: TargetBodies['acquire']): void {
    const { log, plugin } = this.#options;
    const fields = { policy: key, target: host };
    log.info('an SA is asked for', fields);
    acquireSa(plugin, { policy: key, ...packet }).catch((error: unknown) => {
      log.warn('charon was not asked for an SA', { ...fields, error });
    });
  }
}

/** One side of a packet. Protocols without ports are told without what they have in their place (ICMP's types). */
function isAbout(selector: TrafficSelector, text: string, protocol: number, port: number): boolean {
  const words = parseAddress(text);
  if (words === undefined) return false;
  const bytes = Buffer.alloc(16);
  const address = bytes.subarray(0, writeAddress(bytes, 0, words));
  if (hasPorts(protocol)) return matchesSelector(selector, address, protocol, port);
  const isOfProtocol = selector.protocol === 0 || selector.protocol === protocol;
  return isOfProtocol && containsAddress(selector, address);
}
