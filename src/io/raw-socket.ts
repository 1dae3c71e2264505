import type { PacketSink } from '../dataplane/ports.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

const SEND_BUFFER_BYTES = 8 * 1024 * 1024;

/**
 * Sends IPv4 and IPv6 packets as they are, header included, whatever their source address; packets of both may be in one
 * vector, and those of one family leave in its order. The kernel fills in the checksum and the total length of IPv4, and an
 * identification that is 0; of IPv6 nothing, so a payload length that is wrong is refused. It never fragments, and counts
 * the MTU of the device only (`too-big`): a path MTU follows from authenticated packets, not from any ICMP. Fragments that
 * are made here leave as they are. Every packet carries `mark`, by which the guards and policy routing know it.
 *
 * Without IPv6 in the kernel, IPv6 packets are refused one by one.
 */
export class RawSocket extends Endpoint implements PacketSink {
  static open(options: { mark: number }): RawSocket {
    return new RawSocket(packetIo().rawOpen(options.mark, SEND_BUFFER_BYTES));
  }
}
