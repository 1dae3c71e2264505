/** IP protocol numbers (IANA "Protocol Numbers") that the data plane has an opinion about. */
export const IP_PROTOCOL = {
  HOP_BY_HOP: 0,
  ICMP: 1,
  IPV4: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  IPV6_ROUTING: 43,
  IPV6_FRAGMENT: 44,
  GRE: 47,
  ESP: 50,
  AH: 51,
  ICMPV6: 58,
  /** "No next header": in ESP a dummy packet (RFC 4303 section 2.6). */
  NO_NEXT_HEADER: 59,
  IPV6_DESTINATION: 60,
  DCCP: 33,
  SCTP: 132,
  UDPLITE: 136,
} as const;

/** True for protocols whose first four bytes are source and destination port. */
export function hasPorts(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.TCP ||
    protocol === IP_PROTOCOL.UDP ||
    protocol === IP_PROTOCOL.SCTP ||
    protocol === IP_PROTOCOL.UDPLITE ||
    protocol === IP_PROTOCOL.DCCP
  );
}

export function isIcmp(protocol: number): boolean {
  return protocol === IP_PROTOCOL.ICMP || protocol === IP_PROTOCOL.ICMPV6;
}

/** Echo request and reply: a message with an identifier (RFC 792; RFC 4443 section 4). */
export function isIcmpEcho(protocol: number, type: number): boolean {
  return isEchoRequest(protocol, type) || isEchoReply(protocol, type);
}

export function isEchoRequest(protocol: number, type: number): boolean {
  return type === (protocol === IP_PROTOCOL.ICMPV6 ? 128 : 8);
}

export function isEchoReply(protocol: number, type: number): boolean {
  return type === (protocol === IP_PROTOCOL.ICMPV6 ? 129 : 0);
}

/** Messages that quote a packet: RFC 792's unreachable, quench, redirect, time and parameter; RFC 4443's types below 128. */
export function isIcmpError(protocol: number, type: number): boolean {
  if (protocol === IP_PROTOCOL.ICMPV6) return type < 128;
  return protocol === IP_PROTOCOL.ICMP && ((type >= 3 && type <= 5) || type === 11 || type === 12);
}
