import type { DropCounters } from '../base/verdict.ts';
import type { PacketSource } from '../dataplane/ports.ts';
import type { PacketVector } from '../dataplane/vector.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

/** About 40 ms of full-size packets at 1 Gbit/s, with what the kernel bills per packet. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;

const ETHERTYPES = [0x0800, 0x86dd];

/**
 * Copies of the IPv4 and IPv6 packets that arrive on an interface and pass a filter program (`bpf.ts`), from the
 * IP header on. The kernel goes on with the originals: drop those with `router-guard.ts`. Seen before nftables' input,
 * so packets dropped there are captured all the same; what an ingress hook drops is not.
 *
 * There is a socket for each family, so packets of one family stay in order, and a flood of one does not push the
 * other out of its buffer. `length` may exceed the IP length by Ethernet padding, and a transport checksum may be
 * unfinished where the sender is on the same machine (veth): neither says anything about the packet.
 * Throws an Error with `code` `ENODEV` if there is no such interface.
 */
export class Capture implements PacketSource {
  readonly #families: Endpoint[];

  private constructor(families: Endpoint[]) {
    this.#families = families;
  }

  static open(interfaceName: string, program: Uint8Array): Capture {
    const open: Endpoint[] = [];
    try {
      for (const etherType of ETHERTYPES)
        open.push(
          new Endpoint(packetIo().captureOpen(interfaceName, etherType, program, RECEIVE_BUFFER_BYTES)),
        );
      return new Capture(open);
    } catch (error) {
      for (const endpoint of open) endpoint.close();
      throw error;
    }
  }

  /** As `Endpoint.onReadable`; called once for each family that has packets. */
  onReadable(callback: () => void): void {
    for (const endpoint of this.#families) endpoint.onReadable(callback);
  }

  /** As `Endpoint.receive`. The families take turns at being first, so none waits for the other's flood to end. */
  receive(vector: PacketVector): number {
    this.#families.reverse();
    let filled = 0;
    for (const endpoint of this.#families) filled += endpoint.receive(vector);
    return filled;
  }

  /** Another filter, for packets that arrive from now on; what has passed the one before stays to be received. */
  setFilter(program: Uint8Array): void {
    for (const endpoint of this.#families) endpoint.setFilter(program);
  }

  /** Adds what got lost before it reached a vector, since the last call: `receive-overrun`, `too-big`. */
  countLosses(drops: DropCounters): void {
    for (const endpoint of this.#families) endpoint.countLosses(drops);
  }

  /** Twice is harmless. */
  close(): void {
    for (const endpoint of this.#families) endpoint.close();
  }
}
