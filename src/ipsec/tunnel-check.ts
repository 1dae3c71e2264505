import { smallWordsOf } from '../base/small-arrays.ts';
import { ADDRESS_WORDS, addressOfBytes, isWithin } from '../packet/address.ts';
import { hasPorts, isIcmp } from '../packet/protocols.ts';
import { FRAGMENT, type InnerColumns } from './inner-columns.ts';
import { coversAllPorts, isOpaque, type TrafficSelector } from './traffic-selector.ts';

/** Words of a selector. */
const FAMILY = 0;
const PROTOCOL = 1;
const FROM_PORT = 2;
const TO_PORT = 3;
/** 1: matches a packet that shows no ports: any port, or OPAQUE. */
const TAKES_UNSEEN_PORTS = 4;
const FROM = 5;
const TO = FROM + ADDRESS_WORDS;
const SELECTOR_WORDS = TO + ADDRESS_WORDS;

function compile(selectors: readonly TrafficSelector[]): number[] {
  return selectors.flatMap((selector) => {
    const { family, protocol, fromPort, toPort, from, to } = selector;
    const takesUnseenPorts = coversAllPorts(selector) || isOpaque(selector);
    const numbers = [family, protocol, fromPort, toPort, takesUnseenPorts ? 1 : 0];
    return [...numbers, ...addressOfBytes(from), ...addressOfBytes(to)];
  });
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
  /** Of the destination, then of the source, behind each other: one SA's lie together. */
  readonly #selectors: Uint32Array;
  /** Where those of the source begin. */
  readonly #sourceAt: number;

  /** Selectors in packet direction. */
  constructor(source: readonly TrafficSelector[], destination: readonly TrafficSelector[]) {
    this.#selectors = smallWordsOf([...compile(destination), ...compile(source)]);
    this.#sourceAt = destination.length * SELECTOR_WORDS;
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
    const { length } = this.#selectors;
    return (
      this.#matchAny(0, this.#sourceAt, inner.innerDestination, at, family, protocol, destination) &&
      this.#matchAny(this.#sourceAt, length, sources, at, family, protocol, source)
    );
  }

  /** One of the selectors from `first` below `end`. `port` -1: the packet shows none. `addresses` undefined: any. */
  #matchAny(
    first: number,
    end: number,
    addresses: Uint32Array | undefined,
    at: number,
    family: number,
    protocol: number,
    port: number,
  ): boolean {
    const words = this.#selectors;
    for (let s = first; s < end; s += SELECTOR_WORDS) {
      if (words[s + FAMILY] !== family) continue;
      const wanted = words[s + PROTOCOL] as number;
      if (wanted !== 0 && wanted !== protocol) continue;
      const takesPort =
        port < 0
          ? words[s + TAKES_UNSEEN_PORTS] === 1
          : port >= (words[s + FROM_PORT] as number) && port <= (words[s + TO_PORT] as number);
      if (!takesPort) continue;
      if (addresses === undefined || isWithin(addresses, at, words, s + FROM, words, s + TO)) return true;
    }
    return false;
  }
}
