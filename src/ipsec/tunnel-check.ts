import { IP_PROTOCOL } from '../packet/protocols.ts';
import { coversAllPorts, isOpaque, type TrafficSelector } from './traffic-selector.ts';

/** The inner headers of a batch, one element per packet: peeked on the routing host, authenticated on a target. */
export interface InnerColumns {
  /** 4 or 6. */
  readonly family: Uint8Array;
  /** IPv4 as host numbers. */
  readonly innerSource: Uint32Array;
  readonly innerDestination: Uint32Array;
  readonly protocol: Uint8Array;
  /** 0 where the packet shows none. For ICMP the destination port is type << 8 | code, the source port 0. */
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  /** 1: part of a datagram; its ports do not count as seen. */
  readonly isFragment: Uint8Array;
}

/** IPv4 selectors of one side, ready for comparing numbers. */
class CompiledSelectors {
  readonly #count: number;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;
  readonly #protocol: Uint8Array;
  readonly #fromPort: Uint16Array;
  readonly #toPort: Uint16Array;
  /** Matches a packet that shows no ports: any port, or OPAQUE. */
  readonly #takesUnseenPorts: Uint8Array;

  constructor(selectors: readonly TrafficSelector[]) {
    const v4 = selectors.filter((selector) => selector.family === 4);
    const number = (address: Uint8Array) => Buffer.from(address).readUInt32BE(0);
    this.#count = v4.length;
    this.#from = Uint32Array.from(v4, (selector) => number(selector.from));
    this.#to = Uint32Array.from(v4, (selector) => number(selector.to));
    this.#protocol = Uint8Array.from(v4, (selector) => selector.protocol);
    this.#fromPort = Uint16Array.from(v4, (selector) => selector.fromPort);
    this.#toPort = Uint16Array.from(v4, (selector) => selector.toPort);
    this.#takesUnseenPorts = Uint8Array.from(v4, (selector) =>
      coversAllPorts(selector) || isOpaque(selector) ? 1 : 0,
    );
  }

  /** `port` -1: the packet shows none. */
  match(address: number, protocol: number, port: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (address < (this.#from[i] as number) || address > (this.#to[i] as number)) continue;
      const wanted = this.#protocol[i] as number;
      if (wanted !== 0 && wanted !== protocol) continue;
      if (port < 0) {
        if (this.#takesUnseenPorts[i] === 1) return true;
      } else if (port >= (this.#fromPort[i] as number) && port <= (this.#toPort[i] as number)) return true;
    }
    return false;
  }
}

/** Whether a packet of this protocol shows ports (or ICMP type and code) that a selector can speak about. */
function showsPorts(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.TCP ||
    protocol === IP_PROTOCOL.UDP ||
    protocol === IP_PROTOCOL.ICMP ||
    protocol === IP_PROTOCOL.SCTP ||
    protocol === IP_PROTOCOL.UDPLITE ||
    protocol === IP_PROTOCOL.DCCP
  );
}

/**
 * The tunnel check of one SA (RFC 4301 section 5.2 step 4): a packet whose inner addresses, protocol or ports
 * are not what the SA was negotiated for is rejected. Any source selector goes with any destination selector.
 * On the routing host it sees what the peek saw, which anyone may have forged: there it only saves a way to
 * a target. On the target it is the check that counts.
 *
 * Compiled once per SA; allocates nothing per packet. IPv4; packets of another family do not pass.
 */
export class TunnelCheck {
  readonly #source: CompiledSelectors;
  readonly #destination: CompiledSelectors;

  /** Selectors in packet direction. */
  constructor(source: readonly TrafficSelector[], destination: readonly TrafficSelector[]) {
    this.#source = new CompiledSelectors(source);
    this.#destination = new CompiledSelectors(destination);
  }

  /** Packet `i` of a batch. */
  permits(inner: InnerColumns, i: number): boolean {
    if (inner.family[i] !== 4) return false;
    return this.permits4(
      inner.innerSource[i] as number,
      inner.innerDestination[i] as number,
      inner.protocol[i] as number,
      inner.sourcePort[i] as number,
      inner.destinationPort[i] as number,
      inner.isFragment[i] === 1,
    );
  }

  /** One IPv4 packet; addresses as host numbers. With a fragment, or a protocol without ports, ports are ignored. */
  permits4(
    source: number,
    destination: number,
    protocol: number,
    sourcePort: number,
    destinationPort: number,
    isFragment: boolean,
  ): boolean {
    const isSeen = !isFragment && showsPorts(protocol);
    // ICMP type and code stand for the port on both sides (RFC 4301 section 4.4.1.1, RFC 7296 section 3.13.1).
    const near = protocol === IP_PROTOCOL.ICMP ? destinationPort : sourcePort;
    return (
      this.#destination.match(destination, protocol, isSeen ? destinationPort : -1) &&
      this.#source.match(source, protocol, isSeen ? near : -1)
    );
  }
}
