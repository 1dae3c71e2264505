/**
 * The IP packet in a captured Ethernet frame, read on purpose without the project's own header codecs: the lab's witnesses
 * against them are built on it.
 */

const ETHERNET_HEADER_BYTES = 14;
const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
const HOP_BY_HOP = 0;

export interface IpView {
  readonly version: 4 | 6;
  /** As text; IPv6 not shortened. */
  readonly source: string;
  readonly destination: string;
  /** What the payload is; IPv6 hop-by-hop options are passed over, other extension headers are not. */
  readonly protocol: number;
  readonly payload: Buffer;
  /** IPv4 only: the payload may start with no header of its own. */
  readonly isFragment: boolean;
}

export function isArp(frame: Buffer): boolean {
  return frame.length >= ETHERNET_HEADER_BYTES && frame.readUInt16BE(12) === ETHERTYPE.arp;
}

/** The packet in an Ethernet frame; undefined if it is none, or is cut short. */
export function ipIn(frame: Buffer): IpView | undefined {
  if (frame.length < ETHERNET_HEADER_BYTES) return undefined;
  const packet = frame.subarray(ETHERNET_HEADER_BYTES);
  const etherType = frame.readUInt16BE(12);
  if (etherType === ETHERTYPE.ipv4) return ipv4(packet);
  return etherType === ETHERTYPE.ipv6 ? ipv6(packet) : undefined;
}

function ipv4(packet: Buffer): IpView | undefined {
  if (packet.length < 20) return undefined;
  const headerBytes = (packet.readUInt8(0) & 0x0f) * 4;
  if (packet.readUInt8(0) >> 4 !== 4 || headerBytes < 20) return undefined;
  return {
    version: 4,
    source: packet.subarray(12, 16).join('.'),
    destination: packet.subarray(16, 20).join('.'),
    protocol: packet.readUInt8(9),
    payload: packet.subarray(headerBytes, packet.readUInt16BE(2)),
    isFragment: (packet.readUInt16BE(6) & 0x3fff) !== 0,
  };
}

function ipv6(packet: Buffer): IpView | undefined {
  if (packet.length < 40 || packet.readUInt8(0) >> 4 !== 6) return undefined;
  const text = (at: number) => (packet.toString('hex', at, at + 16).match(/.{4}/g) ?? []).join(':');
  let protocol = packet.readUInt8(6);
  let payload = packet.subarray(40, 40 + packet.readUInt16BE(4));
  if (protocol === HOP_BY_HOP && payload.length >= 8) {
    protocol = payload.readUInt8(0);
    payload = payload.subarray(8 * (payload.readUInt8(1) + 1));
  }
  return { version: 6, source: text(8), destination: text(24), protocol, payload, isFragment: false };
}
