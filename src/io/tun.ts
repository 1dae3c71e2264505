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
  /** With offloads: how many threads may read and write it at once (`useCrew`); 1 if not said. */
  readonly queues?: number;
  /** There is one queue only: the kernel, or the device, has no more. */
  readonly onOneQueue?: (error: Error) => void;
}

/** What is asked of the kernel; `queues` as of `tunOpen`. */
interface Attachment {
  readonly vnetHeader: boolean;
  readonly queues: number;
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
 * joins segments of one connection that follow each other on the way in. A device takes either from one attachment to the next. Whether
 * it may have several queues it was told when it was made: one that may is found with one or with several, and one that may not with one.
 */
export class Tun extends Endpoint implements PacketSource, PacketSink {
  /** How many threads can read and write at once. */
  readonly queues: number;

  private constructor(handle: NativeHandle, queues: number) {
    super(handle);
    this.queues = queues;
  }

  static open(name: string, options: TunOptions = {}): Tun {
    const { isPersistent = true, hasOffloads = false, queues: wanted = 1 } = options;
    const refusals: Error[] = [];
    for (const { vnetHeader, queues } of attachments(hasOffloads, wanted)) {
      let handle: NativeHandle;
      try {
        handle = packetIo().tunOpen(name, { persist: isPersistent, vnetHeader, queues });
      } catch (error) {
        refusals.push(error as Error);
        continue;
      }
      const [refusal] = refusals;
      if (refusal !== undefined && hasOffloads) {
        if (!vnetHeader) options.onNoOffloads?.(refusal);
        else if (Math.max(1, queues) < wanted) options.onOneQueue?.(refusal);
      }
      return new Tun(handle, Math.max(1, queues));
    }
    throw refusals.at(-1); // what is wrong in any case
  }
}

/** The best first; with one queue both of a device that may not have several and of one that may. */
function attachments(hasOffloads: boolean, queues: number): Attachment[] {
  const several = hasOffloads && queues > 1 ? [{ vnetHeader: true, queues }] : [];
  const single = (vnetHeader: boolean) => [0, 1].map((one) => ({ vnetHeader, queues: one }));
  return [...several, ...(hasOffloads ? single(true) : []), ...single(false)];
}
