import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { IPV6_HEADER_BYTES } from './ipv6.ts';
import { IP_PROTOCOL } from './protocols.ts';

/*
 * The chain of extension headers (RFC 8200 section 4) as fragmentation needs it: where the part ends that every fragment
 * repeats, and where the fragment header stands. `parseIpv6` only asks where the upper header is.
 */
export const IPV6_FRAGMENT_HEADER_BYTES = 8;
/** The fixed header's Next Header field. */
const NEXT_HEADER_OFFSET = 6;
/** As `parseIpv6`: more than anyone sends. */
const MAX_EXTENSIONS = 8;

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');

/** What `walkIpv6Chain` found; reusable. Places count from the start of the packet. */
export class Ipv6Chain {
  /** The fragment header's place; -1: there is none. */
  fragmentAt = -1;
  /** Where the Next Header field stands that names the fragment header. */
  fragmentNamedAt = -1;
  /**
   * The Per-Fragment headers (section 4.5): the fixed header and what follows up to a routing header, else up to a
   * hop-by-hop options header. A fragment header goes here, and the Next Header field at `splitNamedAt` names it.
   */
  perFragmentBytes = IPV6_HEADER_BYTES;
  splitNamedAt = NEXT_HEADER_OFFSET;
  /** Where the chain ends, and what follows there. In a later fragment it ends behind the fragment header. */
  upperAt = IPV6_HEADER_BYTES;
  upperProtocol = 0;
}

/**
 * Walks the chain of a packet of which `available` bytes are there, the fixed header among them. `truncated`: it goes on behind
 * them. `malformed`: too many headers, or a second fragment header.
 */
export function walkIpv6Chain(slab: Buffer, offset: number, available: number, out: Ipv6Chain): Verdict {
  out.fragmentAt = -1;
  out.fragmentNamedAt = -1;
  out.perFragmentBytes = IPV6_HEADER_BYTES;
  out.splitNamedAt = NEXT_HEADER_OFFSET;
  let namedAt = NEXT_HEADER_OFFSET;
  let at = IPV6_HEADER_BYTES;
  let isLaterFragment = false;
  for (let walked = 0; !isLaterFragment; walked++) {
    const next = slab.readUInt8(offset + namedAt);
    const isFragment = next === IP_PROTOCOL.IPV6_FRAGMENT;
    if (!isFragment && !isOption(next)) break;
    if (walked === MAX_EXTENSIONS || (isFragment && out.fragmentAt >= 0)) return MALFORMED;
    if (at + 8 > available) return TRUNCATED;
    const bytes = isFragment ? IPV6_FRAGMENT_HEADER_BYTES : (slab.readUInt8(offset + at + 1) + 1) * 8;
    if (at + bytes > available) return TRUNCATED;
    if (isFragment) {
      out.fragmentAt = at;
      out.fragmentNamedAt = namedAt;
      isLaterFragment = slab.readUInt16BE(offset + at + 2) >= 8;
    }
    namedAt = at;
    at += bytes;
    const isPerFragment = next === IP_PROTOCOL.IPV6_ROUTING || next === IP_PROTOCOL.HOP_BY_HOP;
    if (isPerFragment && out.fragmentAt < 0) {
      out.perFragmentBytes = at;
      out.splitNamedAt = namedAt;
    }
  }
  out.upperAt = at;
  out.upperProtocol = slab.readUInt8(offset + namedAt);
  return KEEP;
}

function isOption(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.HOP_BY_HOP ||
    protocol === IP_PROTOCOL.IPV6_ROUTING ||
    protocol === IP_PROTOCOL.IPV6_DESTINATION
  );
}
