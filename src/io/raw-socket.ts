import type { PacketSink } from '../dataplane/ports.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

const SEND_BUFFER_BYTES = 8 * 1024 * 1024;

/**
 * Sends IPv4 packets as they are, header included, whatever their source address. The kernel fills in the
 * header checksum, the total length, and an identification that is 0; it never fragments (`too-big`).
 * Every packet carries `mark`, by which the guards and policy routing know it.
 */
export class RawSocket extends Endpoint implements PacketSink {
  static open(options: { mark: number }): RawSocket {
    return new RawSocket(packetIo().rawOpen(options.mark, SEND_BUFFER_BYTES));
  }
}
