import type { OutboundPolicy } from './sa.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** IPv4 selector with numbers, as the fast path compares it. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly protocol: number;
  readonly fromPort: number;
  readonly toPort: number;
}

interface CompiledPolicy {
  readonly policy: OutboundPolicy;
  readonly source: Range;
  readonly destination: Range;
}

const uint32 = (bytes: Uint8Array) =>
  (((bytes[0] as number) << 24) |
    ((bytes[1] as number) << 16) |
    ((bytes[2] as number) << 8) |
    (bytes[3] as number)) >>>
  0;

function compile(selector: TrafficSelector): Range {
  return {
    from: uint32(selector.from),
    to: uint32(selector.to),
    protocol: selector.protocol,
    fromPort: selector.fromPort,
    toPort: selector.toPort,
  };
}

function matches(range: Range, address: number, protocol: number, port: number): boolean {
  return (
    address >= range.from &&
    address <= range.to &&
    (range.protocol === 0 || range.protocol === protocol) &&
    port >= range.fromPort &&
    port <= range.toPort
  );
}

const CACHE_SLOTS = 4096;

/**
 * The outbound SPD (RFC 4301 section 4.4.1) of the DVIPAs: which SA an inner packet is sealed with. The policy
 * with the smallest priority number that matches wins, as in charon. A direct-mapped cache by flow in front of
 * the ordered list; every change empties it.
 */
export class Spd {
  readonly #byKey = new Map<string, CompiledPolicy>();
  /** In order of priority; undefined after a change, so that a snapshot of many is sorted once. */
  #ordered: CompiledPolicy[] | undefined = [];
  readonly #cached: (CompiledPolicy | undefined)[] = Array.from({ length: CACHE_SLOTS }, () => undefined);
  readonly #cacheSource = new Uint32Array(CACHE_SLOTS);
  readonly #cacheDestination = new Uint32Array(CACHE_SLOTS);
  readonly #cachePorts = new Uint32Array(CACHE_SLOTS);
  readonly #cacheProtocol = new Uint8Array(CACHE_SLOTS);

  /** Adds a policy, or replaces the one of the same key: that is the outbound switch to a new SA. */
  install(policy: OutboundPolicy): void {
    if (policy.source.family !== 4 || policy.destination.family !== 4) {
      throw new RangeError('only IPv4 policies are supported');
    }
    this.#byKey.set(policy.key, {
      policy,
      source: compile(policy.source),
      destination: compile(policy.destination),
    });
    this.#changed();
  }

  remove(key: string): OutboundPolicy | undefined {
    const removed = this.#byKey.get(key)?.policy;
    if (this.#byKey.delete(key)) this.#changed();
    return removed;
  }

  /** The policy for an inner packet (addresses as host numbers), or undefined: drop it as `no-policy`. */
  lookup(
    source: number,
    destination: number,
    protocol: number,
    sourcePort: number,
    destinationPort: number,
  ): OutboundPolicy | undefined {
    const ports = ((sourcePort << 16) | destinationPort) >>> 0;
    const slot = (Math.imul(destination ^ ports, 0x9e3779b1) >>> 20) & (CACHE_SLOTS - 1);
    const cached = this.#cached[slot];
    if (
      cached !== undefined &&
      this.#cacheSource[slot] === source &&
      this.#cacheDestination[slot] === destination &&
      this.#cachePorts[slot] === ports &&
      this.#cacheProtocol[slot] === protocol
    ) {
      return cached.policy;
    }
    for (const entry of this.#inOrder()) {
      if (
        matches(entry.source, source, protocol, sourcePort) &&
        matches(entry.destination, destination, protocol, destinationPort)
      ) {
        this.#cached[slot] = entry;
        this.#cacheSource[slot] = source;
        this.#cacheDestination[slot] = destination;
        this.#cachePorts[slot] = ports;
        this.#cacheProtocol[slot] = protocol;
        return entry.policy;
      }
    }
    return undefined;
  }

  get(key: string): OutboundPolicy | undefined {
    return this.#byKey.get(key)?.policy;
  }

  policies(): OutboundPolicy[] {
    return this.#inOrder().map((entry) => entry.policy);
  }

  #changed(): void {
    if (this.#ordered === undefined) return; // the cache is empty since the change before
    this.#ordered = undefined;
    this.#cached.fill(undefined);
  }

  #inOrder(): readonly CompiledPolicy[] {
    this.#ordered ??= [...this.#byKey.values()].toSorted((a, b) => a.policy.priority - b.policy.priority);
    return this.#ordered;
  }
}
