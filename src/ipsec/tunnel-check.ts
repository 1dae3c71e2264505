import { ADDRESS_WORDS, addressOfBytes, isWithin } from '../packet/address.ts';
import { hasPorts, isIcmp } from '../packet/protocols.ts';
import { FRAGMENT, type InnerColumns } from './inner-columns.ts';
import { coversAllPorts, isOpaque, type TrafficSelector } from './traffic-selector.ts';

/** Selectors of one side, ready for comparing numbers. */
class CompiledSelectors {
  readonly #count: number;
  readonly #family: Uint8Array;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #fromPort: Uint16Array;
  readonly #toPort: Uint16Array;
  /** Matches a packet that shows no ports: any port, or OPAQUE. */
  readonly #takesUnseenPorts: Uint8Array;

  constructor(selectors: readonly TrafficSelector[]) {
    this.#count = selectors.length;
    this.#family = Uint8Array.from(selectors, ({ family }) => family);
    this.#from = Uint32Array.from(selectors.flatMap(({ from }) => [...addressOfBytes(from)]));
    this.#to = Uint32Array.from(selectors.flatMap(({ to }) => [...addressOfBytes(to)]));
    this.#protocol = Uint8Array.from(selectors, ({ protocol }) => protocol);
    this.#fromPort = Uint16Array.from(selectors, ({ fromPort }) => fromPort);
    this.#toPort = Uint16Array.from(selectors, ({ toPort }) => toPort);
    this.#takesUnseenPorts = Uint8Array.from(selectors, (selector) =>
      coversAllPorts(selector) || isOpaque(selector) ? 1 : 0,
    );
  }

  /** `port` -1: the packet shows none. `addresses` is a column, `at` the packet's first word in it; undefined: any. */
  match(
    addresses: Uint32Array | undefined,
    at: number,
    family: number,
    protocol: number,
    port: number,
  ): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (this.#family[i] !== family) continue;
      const words = i * ADDRESS_WORDS;
      if (addresses !== undefined && !isWithin(addresses, at, this.#from, words, this.#to, words)) continue;
      const wanted = this.#protocol[i] as number;
      if (wanted !== 0 && wanted !== protocol) continue;
      if (port < 0) {
        if (this.#takesUnseenPorts[i] === 1) return true;
      } else if (port >= (this.#fromPort[i] as number) && port <= (this.#toPort[i] as number)) return true;
    }
    return false;
  }
}

/**
 * The tunnel check of one SA (RFC 4301 section 5.2 step 4): a packet whose inner addresses, protocol or ports
 * are not what the SA was negotiated for is rejected. Any source selector goes with any destination selector.
 * On the routing host it sees what the peek saw, which anyone may have forged: there it only saves a way to
 * a target. On the target it is the check that counts.
 *
 * Compiled once per SA; allocates nothing per packet.
 */
export class TunnelCheck {
  readonly #source: CompiledSelectors;
  readonly #destination: CompiledSelectors;

  /** Selectors in packet direction. */
  constructor(source: readonly TrafficSelector[], destination: readonly TrafficSelector[]) {
    this.#source = new CompiledSelectors(source);
    this.#destination = new CompiledSelectors(destination);
  }

  /**
   * Packet `i` of a batch. A protocol without ports, and a later fragment, match where ports do not matter. (A later
   * fragment of a datagram whose first one has passed is the caller's to know: RFC 4301 section 7.3.)
   */
  permits(inner: InnerColumns, i: number): boolean {
    return this.#match(inner, i, inner.innerSource);
  }

  /**
   * The same, whatever the source address. In transport mode it is that of the datagram, and a NAT may have given the peer
   * another one: only a target can tell such a peer from a forger, so the routing host must let it go on.
   */
  permitsFromAnywhere(inner: InnerColumns, i: number): boolean {
    return this.#match(inner, i, undefined);
  }

  #match(inner: InnerColumns, i: number, sources: Uint32Array | undefined): boolean {
    const protocol = inner.protocol[i] as number;
    const family = inner.family[i] as number;
    const isSeen = inner.fragment[i] !== FRAGMENT.LATER && (hasPorts(protocol) || isIcmp(protocol));
    const destination = isSeen ? (inner.destinationPort[i] as number) : -1;
    // ICMP type and code stand for the port on both sides (RFC 4301 section 4.4.1.1, RFC 7296 section 3.13.1).
    const source = isSeen && !isIcmp(protocol) ? (inner.sourcePort[i] as number) : destination;
    const at = i * ADDRESS_WORDS;
    return (
      this.#destination.match(inner.innerDestination, at, family, protocol, destination) &&
      this.#source.match(sources, at, family, protocol, source)
    );
  }
}
