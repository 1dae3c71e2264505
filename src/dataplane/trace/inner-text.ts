import { FRAGMENT } from '../../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, formatAddress } from '../../packet/address.ts';
import { hasPorts, IP_PROTOCOL } from '../../packet/protocols.ts';
import type { PacketVector } from '../vector.ts';

const NAMES = new Map<number, string>([
  [IP_PROTOCOL.ICMP, 'icmp'],
  [IP_PROTOCOL.TCP, 'tcp'],
  [IP_PROTOCOL.UDP, 'udp'],
  [IP_PROTOCOL.ICMPV6, 'icmpv6'],
]);

/** The inner columns of packet `i` in words: `tcp 10.1.1.1:40000 > 203.0.113.10:80`. */
export function innerText(vector: PacketVector, i: number): string {
  const protocol = vector.protocol[i] as number;
  const at = i * ADDRESS_WORDS;
  const isSeen = hasPorts(protocol) && vector.fragment[i] !== FRAGMENT.LATER;
  const source = place(formatAddress(vector.innerSource, at), isSeen, vector.sourcePort[i] as number);
  const to = place(formatAddress(vector.innerDestination, at), isSeen, vector.destinationPort[i] as number);
  const part = vector.fragment[i] === FRAGMENT.WHOLE ? '' : ', a fragment';
  return `${NAMES.get(protocol) ?? `protocol ${protocol}`} ${source} > ${to}${part}`;
}

/** The outer columns of packet `i` in words. */
export function outerText(vector: PacketVector, i: number): string {
  const at = i * ADDRESS_WORDS;
  const port = vector.outerDestinationPort[i] as number;
  const isUdp = port !== 0;
  const source = place(formatAddress(vector.outerSource, at), isUdp, vector.outerSourcePort[i] as number);
  return `${source} > ${place(formatAddress(vector.outerDestination, at), isUdp, port)}`;
}

function place(address: string, hasPort: boolean, port: number): string {
  if (!hasPort) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
