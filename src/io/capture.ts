import type { PacketSource } from '../dataplane/ports.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

/** About 40 ms of full-size packets at 1 Gbit/s, with what the kernel bills per packet. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;

/**
 * Copies of the IPv4 packets that arrive on an interface and pass a filter program (`bpf.ts`), from the
 * IP header on. The kernel goes on with the originals: drop those with `router-guard.ts`. Seen before
 * nftables, so packets dropped there are captured all the same.
 *
 * `length` may exceed the IP total length by Ethernet padding, and a transport checksum may be unfinished
 * where the sender is on the same machine (veth): neither says anything about the packet.
 * Throws an Error with `code` `ENODEV` if there is no such interface.
 */
export class Capture extends Endpoint implements PacketSource {
  static open(interfaceName: string, program: Uint8Array): Capture {
    return new Capture(packetIo().captureOpen(interfaceName, program, RECEIVE_BUFFER_BYTES));
  }
}
