import type { PacketSink, PacketSource } from '../dataplane/ports.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

/**
 * A TUN device: whole IP packets to and from this host's own stack. The guard (`target-guard.ts`) makes
 * the device and gives it its address; this attaches to it. Throws an Error with `code` `EBUSY` if another
 * process has it, `EPERM` without CAP_NET_ADMIN.
 *
 * The device is persistent unless told otherwise: it outlives the process, so the DVIPA stays configured
 * and sockets bound to it stay valid while an agent restarts. A TUN that nobody reads drops packets.
 */
export class Tun extends Endpoint implements PacketSource, PacketSink {
  static open(name: string, options: { isPersistent?: boolean } = {}): Tun {
    return new Tun(packetIo().tunOpen(name, { persist: options.isPersistent ?? true }));
  }
}
