import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { tunnelNextHeader } from '../ipsec/esp-trailer.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';
import type { TunnelCheck } from '../ipsec/tunnel-check.ts';
import { ADDRESS_WORDS, equalAddresses, type IpAddress } from '../packet/address.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { InboundFilter } from './inbound-filter.ts';
import { readInnerHeaders } from './inner-headers.ts';
import { takeOuterMarks } from './outer-marks.ts';
import { restoreTransportHeader } from './transport-mode.ts';
import type { PacketVector } from './vector.ts';

const MALFORMED = verdictOf('malformed');
const INNER_NOT_DVIPA = verdictOf('inner-not-dvipa');
const TUNNEL_CHECK = verdictOf('tunnel-check');

/** What an authenticated inner packet is checked against. */
export interface InnerRules {
  readonly dvipa: { readonly address: IpAddress };
  /** Undefined: whoever opened the packet has done it. */
  readonly check: TunnelCheck | undefined;
  /** Undefined: it is not filtered on this host. */
  readonly filter: InboundFilter | undefined;
  readonly group: number;
}

/** The inner packet of opened packet `i`, as it goes on, and its headers in the columns. */
export function readOpened(vector: PacketVector, i: number, sa: SecurityAssociation): Verdict {
  if (sa.mode === 'transport') {
    const bad = restoreTransportHeader(vector, i, sa.hasUdpEncapsulation);
    return bad === KEEP ? readInnerHeaders(vector, i) : bad;
  }
  const nextHeader = vector.nextHeader[i] as number;
  const bad = readInnerHeaders(vector, i);
  if (bad !== KEEP) return bad;
  if (nextHeader !== tunnelNextHeader(vector.family[i] as number)) return MALFORMED;
  takeOuterMarks(vector, i, sa);
  return KEEP;
}

/**
 * Destination, tunnel check (claim 8) and filter (claims 6, 7) of one authenticated inner packet. A later fragment shows no ports: it
 * passes if the first one of its datagram has, of the same SA group (RFC 4301 section 7.3), else where ports do not matter.
 */
export function checkInner(
  vector: PacketVector,
  i: number,
  rules: InnerRules,
  fragments: FragmentMemory,
): Verdict {
  const { filter, group } = rules;
  const follows = followsFirst(vector, i, group, fragments);
  const bad = checkInnerAddresses(vector, i, rules, follows);
  if (bad !== KEEP || follows) return bad;
  const refused = filter === undefined ? KEEP : filter.verdict(vector, i);
  if (refused === KEEP && vector.fragment[i] === FRAGMENT.FIRST) fragments.learn(vector, i, group, 0);
  return refused;
}

/** Packet `i` is a later fragment, and the first one of its datagram has passed. */
export function followsFirst(
  vector: PacketVector,
  i: number,
  group: number,
  fragments: FragmentMemory,
): boolean {
  return vector.fragment[i] === FRAGMENT.LATER && fragments.lookup(vector, i, group) >= 0;
}

/** The first two of `checkInner`. Changes nothing: `dvipa trace` asks it as well. */
export function checkInnerAddresses(
  vector: PacketVector,
  i: number,
  { dvipa, check }: InnerRules,
  follows: boolean,
): Verdict {
  if (!equalAddresses(vector.innerDestination, i * ADDRESS_WORDS, dvipa.address, 0)) return INNER_NOT_DVIPA;
  return follows || check?.permits(vector, i) !== false ? KEEP : TUNNEL_CHECK;
}
