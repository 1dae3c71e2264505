import type { PacketSink, PacketSource } from '../dataplane/ports.ts';
import { Endpoint } from './endpoint.ts';
import { type NativeHandle, packetIo } from './native.ts';

export interface TunOptions {
  /** Whether the device outlives this process; true if not said. */
  readonly isPersistent?: boolean;
  /** Whether the kernel hands over and takes large TCP segments and UDP trains, and leaves checksums to us. */
  readonly hasOffloads?: boolean;
  /** The kernel has no such offloads: the TUN works without. */
  readonly onNoOffloads?: (error: Error) => void;
}

/**
 * A TUN device: whole IP packets to and from this host's own stack. The guard (`target-guard.ts`) makes
 * the device and gives it its address; this attaches to it. Throws an Error with `code` `EBUSY` if another
 * process has it, `EPERM` without CAP_NET_ADMIN.
 *
 * The device is persistent unless told otherwise: it outlives the process, so the DVIPA stays configured
 * and sockets bound to it stay valid while an agent restarts. A TUN that nobody reads drops packets.
 *
 * With offloads or without, vectors hold ordinary packets with finished checksums: the addon cuts what comes out of the kernel, and
 * joins segments of one connection that follow each other on the way in. A device takes either from one attachment to the next.
 */
export class Tun extends Endpoint implements PacketSource, PacketSink {
  static open(name: string, options: TunOptions = {}): Tun {
    const { isPersistent = true, hasOffloads = false, onNoOffloads } = options;
    const attach = (vnetHeader: boolean) => packetIo().tunOpen(name, { persist: isPersistent, vnetHeader });
    if (!hasOffloads) return new Tun(attach(false));
    let handle: NativeHandle;
    try {
      handle = attach(true);
    } catch (error) {
      handle = attach(false); // or throws what is wrong in any case
      onNoOffloads?.(error as Error);
    }
    return new Tun(handle);
  }
}
