/** What a packet is of its datagram. */
export const FRAGMENT = {
  WHOLE: 0,
  /** It shows the upper header. */
  FIRST: 1,
  /** It shows no ports. */
  LATER: 2,
} as const;

/** The inner headers of a batch, one element per packet: peeked on the routing host, authenticated on a target. */
export interface InnerColumns {
  /** 4 or 6. */
  readonly family: Uint8Array;
  /** Four words a packet (`packet/address.ts`). */
  readonly innerSource: Uint32Array;
  readonly innerDestination: Uint32Array;
  readonly protocol: Uint8Array;
  /** 0 where the packet shows none. For ICMP the destination port is type << 8 | code, the source port an echo's identifier. */
  readonly sourcePort: Uint16Array;
  readonly destinationPort: Uint16Array;
  /** Flags byte of TCP, 0 for other protocols. */
  readonly tcpFlags: Uint8Array;
  /** One of `FRAGMENT`. */
  readonly fragment: Uint8Array;
  /** The identification of a fragment's datagram (16 bits with IPv4), else 0. */
  readonly fragmentId: Uint32Array;
  /**
   * An ICMP error about something that the destination of this packet sent: protocol of the quoted packet (0: no such
   * quote), who it went to (four words a packet), its ports.
   */
  readonly quotedProtocol: Uint8Array;
  readonly quotedDestination: Uint32Array;
  readonly quotedSourcePort: Uint16Array;
  readonly quotedDestinationPort: Uint16Array;
}
