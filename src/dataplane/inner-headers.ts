import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import { hasPorts, IP_PROTOCOL } from '../packet/protocols.ts';
import { TCP_FLAGS_OFFSET } from '../packet/tcp.ts';
import type { PacketVector } from './vector.ts';

const ipv4 = new Ipv4Header();
const MALFORMED = verdictOf('malformed');

/**
 * Reads the headers of a plain inner IPv4 packet into the vector's inner columns: on a target after the
 * ICV was verified, and for packets that an application sends. Ports are 0 in later fragments and in
 * protocols without ports; for ICMP the destination "port" is type << 8 | code (RFC 4301 section 4.4.1.1).
 */
export function readInnerHeaders(vector: PacketVector, i: number): Verdict {
  const { slab } = vector;
  const offset = vector.offset[i] as number;
  const bad = parseIpv4(slab, offset, vector.length[i] as number, ipv4);
  if (bad !== KEEP) return bad;
  vector.length[i] = ipv4.totalBytes;
  vector.family[i] = 4;
  vector.innerSource[i] = ipv4.source;
  vector.innerDestination[i] = ipv4.destination;
  vector.protocol[i] = ipv4.protocol;
  vector.isFragment[i] = ipv4.isFragment ? 1 : 0;
  vector.trafficClass[i] = ipv4.trafficClass;
  vector.dontFragment[i] = ipv4.hasDontFragment ? 1 : 0;
  vector.sourcePort[i] = 0;
  vector.destinationPort[i] = 0;
  vector.tcpFlags[i] = 0;
  if (ipv4.fragmentOffset !== 0) return KEEP;
  const upper = offset + ipv4.headerBytes;
  const upperBytes = ipv4.totalBytes - ipv4.headerBytes;
  if (ipv4.protocol === IP_PROTOCOL.ICMP) {
    if (upperBytes < 2) return MALFORMED;
    vector.destinationPort[i] = slab.readUInt16BE(upper);
  } else if (hasPorts(ipv4.protocol)) {
    if (upperBytes < 4) return MALFORMED;
    vector.sourcePort[i] = slab.readUInt16BE(upper);
    vector.destinationPort[i] = slab.readUInt16BE(upper + 2);
    if (ipv4.protocol === IP_PROTOCOL.TCP) {
      if (upperBytes <= TCP_FLAGS_OFFSET) return MALFORMED;
      vector.tcpFlags[i] = slab.readUInt8(upper + TCP_FLAGS_OFFSET);
    }
  }
  return KEEP;
}
