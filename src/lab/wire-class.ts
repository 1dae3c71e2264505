import type { PcapFile } from './pcap.ts';
import { ipIn, type IpView, isArp } from './wire-ip.ts';

/**
 * What a frame on one of the lab's networks is, judged from its bytes alone and on purpose without the project's own
 * header codecs: this is the witness against them.
 */

/**
 * Classes of the outside network; anything `other` there should not exist. `unreachable`: ICMP about an IKE or ESP datagram
 * whose port is closed, as while charon restarts; what it quotes is as protected as it was. `neighbour`: the ARP of IPv6.
 */
export type OutsideClass = 'esp' | 'ike' | 'nat-keepalive' | 'arp' | 'neighbour' | 'unreachable' | 'other';

/**
 * Classes of the cluster network: the coupling channel (TLS), the trusted link (GRE in UDP), ARP; and what a host says
 * whose agent is gone, which quotes a link packet as it was, sealed.
 */
export type ClusterClass = 'coupling' | 'link' | 'unreachable' | 'arp' | 'other';

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, esp: 50, icmp6: 58 } as const;
const PORT = { ike: 500, ikeNat: 4500, cluster: 4754 } as const;
/** Multicast listeners (RFC 2710, RFC 3810), and neighbour discovery (RFC 4861 §4). */
const NEIGHBOUR_TYPES = [130, 131, 132, 143, 133, 134, 135, 136, 137];

function hasPort(payload: Buffer, port: number): boolean {
  return payload.length >= 8 && (payload.readUInt16BE(0) === port || payload.readUInt16BE(2) === port);
}

export function classifyOutside(frame: Buffer): OutsideClass {
  if (isArp(frame)) return 'arp';
  const ip = wholeIpIn(frame);
  if (ip === undefined) return 'other';
  // SPIs 0 to 255 are reserved (RFC 4303 §2.1).
  if (ip.protocol === PROTOCOL.esp)
    return ip.payload.length >= 8 && ip.payload.readUInt32BE(0) > 255 ? 'esp' : 'other';
  if (isNeighbourMessage(ip)) return 'neighbour';
  if (isUnreachable(ip, [PORT.ike, PORT.ikeNat])) return 'unreachable';
  if (ip.protocol !== PROTOCOL.udp) return 'other';
  const data = ip.payload.subarray(8);
  if (hasPort(ip.payload, PORT.ikeNat)) return classifyNatTraversal(data);
  return hasPort(ip.payload, PORT.ike) && isIkeHeader(data) ? 'ike' : 'other';
}

/** A fragment's payload starts with no header of its own: nobody here should send one. */
function wholeIpIn(frame: Buffer): IpView | undefined {
  const ip = ipIn(frame);
  return ip?.isFragment === true ? undefined : ip;
}

function isNeighbourMessage({ version, protocol, payload }: IpView): boolean {
  return version === 6 && protocol === PROTOCOL.icmp6 && NEIGHBOUR_TYPES.includes(payload[0] ?? 0);
}

/** RFC 3948 §2: one octet 0xff, four zero octets before IKE, or an SPI. */
function classifyNatTraversal(data: Buffer): OutsideClass {
  if (data.length === 1 && data[0] === 0xff) return 'nat-keepalive';
  if (data.length < 8) return 'other';
  const first = data.readUInt32BE(0);
  if (first === 0) return isIkeHeader(data.subarray(4)) ? 'ike' : 'other';
  return first > 255 ? 'esp' : 'other';
}

/** Version 2.0 and a length that fits (RFC 7296 §3.1). */
function isIkeHeader(data: Buffer): boolean {
  return data.length >= 28 && data[17] === 0x20 && data.readUInt32BE(24) === data.length;
}

export function classifyCluster(frame: Buffer): ClusterClass {
  if (isArp(frame)) return 'arp';
  const ip = wholeIpIn(frame);
  if (ip === undefined) return 'other';
  if (isUnreachable(ip, [PORT.cluster])) return 'unreachable';
  if (!hasPort(ip.payload, PORT.cluster)) return 'other';
  if (ip.protocol === PROTOCOL.tcp) return 'coupling';
  return ip.protocol === PROTOCOL.udp ? 'link' : 'other';
}

/**
 * Destination unreachable about a UDP datagram of these ports (RFC 792: type 3; RFC 4443: type 1; the datagram from octet 8
 * on).
 */
function isUnreachable({ version, protocol, payload }: IpView, ports: readonly number[]): boolean {
  const [wanted, type] = version === 4 ? [PROTOCOL.icmp, 3] : [PROTOCOL.icmp6, 1];
  if (protocol !== wanted || payload.length < 8 || payload[0] !== type) return false;
  const quoted = payload.subarray(8);
  const headerBytes = version === 4 ? ((quoted[0] ?? 0) & 0x0f) * 4 : 40;
  const about = quoted[version === 4 ? 9 : 6];
  return about === PROTOCOL.udp && ports.some((port) => hasPort(quoted.subarray(headerBytes), port));
}

/** How many packets of a capture are of which class. */
export function countClasses<Class extends string>(
  capture: PcapFile,
  classify: (frame: Buffer) => Class,
): Partial<Record<Class, number>> {
  const counts: Partial<Record<Class, number>> = {};
  for (const { bytes } of capture.packets) {
    const found = classify(bytes);
    counts[found] = (counts[found] ?? 0) + 1;
  }
  return counts;
}

/** How many packets of a capture hold these bytes anywhere. */
export function countPacketsWith(capture: PcapFile, text: string): number {
  const wanted = Buffer.from(text, 'latin1');
  return capture.packets.filter(({ bytes }) => bytes.includes(wanted)).length;
}
