import type { PcapFile } from '../../../src/lab/pcap.ts';

/** RFC 7296 section 3.1. */
export const EXCHANGE = { CREATE_CHILD_SA: 36, INFORMATIONAL: 37 } as const;
const RESPONSE = 0x20;
const ETHERNET_BYTES = 14;
const NAT_TRAVERSAL_PORT = 4500;

/** An IPv4 datagram on UDP port 4500, on either side. */
interface Datagram {
  readonly frame: Buffer;
  readonly source: string;
  readonly destination: string;
  readonly data: Buffer;
}

function* datagrams({ packets }: PcapFile): Iterable<Datagram> {
  for (const { bytes: frame } of packets) {
    const ip = frame.subarray(ETHERNET_BYTES);
    if (frame.readUInt16BE(12) !== 0x0800 || ip[9] !== 17) continue;
    const udp = ip.subarray(((ip[0] as number) & 15) * 4);
    if (udp.readUInt16BE(0) !== NAT_TRAVERSAL_PORT && udp.readUInt16BE(2) !== NAT_TRAVERSAL_PORT) continue;
    const [source, destination] = [ip.subarray(12, 16).join('.'), ip.subarray(16, 20).join('.')];
    yield { frame, source, destination, data: udp.subarray(8, udp.readUInt16BE(4)) };
  }
}

/** Requests of an IKE exchange that one host sent to another; repetitions of one message count once. */
export function requestsOf(capture: PcapFile, exchange: number, from: string, to: string): number {
  const seen = new Set<string>();
  for (const { source, destination, data } of datagrams(capture)) {
    if (source !== from || destination !== to || data.length < 32 || data.readUInt32BE(0) !== 0) continue;
    const ike = data.subarray(4);
    if (ike[18] === exchange && ((ike[19] as number) & RESPONSE) === 0)
      seen.add(ike.subarray(0, 24).toString('hex'));
  }
  return seen.size;
}

/** Hardware addresses that NAT keep-alives (RFC 3948 section 2.3) to a host came from, each time. */
export function keepAlivesTo(capture: PcapFile, to: string): string[] {
  return [...datagrams(capture)]
    .filter(({ destination, data }) => destination === to && data.length === 1 && data[0] === 0xff)
    .map(({ frame }) => (frame.subarray(6, 12).toString('hex').match(/../g) ?? []).join(':'));
}
