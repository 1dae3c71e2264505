import type { NetHost } from './net-host.ts';

/** Datagrams of `sizes[i]` payload bytes each, the number of each in its first bytes behind the SPI. */
const SENDER = `
import json, socket, struct, sys
todo = json.load(sys.stdin)
family = socket.AF_INET6 if ':' in todo['to'] else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
sock.bind(('', todo['from']))
there = (todo['to'], todo['port'])
number = 0
for burst in todo['bursts']:
    sock.setsockopt(17, 103, burst['size'] if len(burst['bytes']) > 1 else 0)
    payload = b''
    for size in burst['bytes']:
        payload += struct.pack('>II', todo['spi'], number) + bytes([number & 255]) * (size - 8)
        number += 1
    sock.sendto(payload, there)
`;

/** Datagrams that leave in one send call: all but the last have `size` bytes of payload, 8 at least. */
interface Burst {
  readonly size: number;
  readonly bytes: readonly number[];
}

export function burst(size: number, count: number, last = size): Burst {
  return { size, bytes: [...Array.from({ length: count - 1 }, () => size), last] };
}

/**
 * Sends bursts as UDP super-packets (UDP_SEGMENT), which cross a veth as they are. A datagram begins with SPI and its number among
 * all of the call, as ESP does; its other bytes are the number's last.
 */
export function sendSuperPackets(
  host: NetHost,
  to: { readonly address: string; readonly port: number; readonly from?: number; readonly spi?: number },
  bursts: readonly Burst[],
): void {
  const { address, port, from = 4500, spi = 0xc1234567 } = to;
  host.python(SENDER, [], JSON.stringify({ to: address, port, from, spi, bursts }));
}
