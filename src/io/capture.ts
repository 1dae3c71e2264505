import { readFileSync } from 'node:fs';
import type { DropCounters } from '../base/verdict.ts';
import type { PacketSource } from '../dataplane/ports.ts';
import type { PacketVector } from '../dataplane/vector.ts';
import { Endpoint } from './endpoint.ts';
import { type NativeHandle, packetIo } from './native.ts';

/** About 40 ms of full-size packets at 1 Gbit/s, with what the kernel bills per packet. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
/** As many packets of an ordinary MTU: 8192. */
const RING_BYTES = 16 * 1024 * 1024;
/** Smallest frame of a ring: an MTU of 1500 with what the kernel puts in front. */
const FRAME_BYTES = 2048;
const FRAME_MAX_BYTES = 256 * 1024;
/** The kernel's header of a frame, its virtio header and the link header, rounded up. */
const FRAME_HEADER_BYTES = 128;

const ETHERTYPES = [0x0800, 0x86dd];
const ETHERNET_HEADER_BYTES = 14;
/** ARPHRD_ETHER and ARPHRD_LOOPBACK: links with an Ethernet header. */
const ETHERNET_LINKS = ['1', '772'];

/** A filter program (`bpf.ts`) for packets whose IP header stands behind so many bytes of link header. */
export type FilterMaker = (linkHeaderBytes: number) => Uint8Array;

interface CaptureOptions {
  /** Many packets without a system call for each, and super-packets taken apart. Without: one by one, super-packets as one. */
  readonly wantsRing: boolean;
  /** The kernel or the link has no such way; packets are captured one by one. */
  readonly onRefused: (reason: Error) => void;
}

const ONE_BY_ONE: CaptureOptions = { wantsRing: false, onRefused: () => {} };

/**
 * Copies of the IPv4 and IPv6 packets that arrive on an interface and pass a filter program, from the
 * IP header on. The kernel goes on with the originals: drop those with `router-guard.ts`. Seen before nftables' input and prerouting,
 * so packets dropped there are captured all the same; what an ingress hook drops is not.
 *
 * There is a socket for each family, so packets of one family stay in order, and a flood of one does not push the
 * other out of its buffer. `length` may exceed the IP length by Ethernet padding, and a transport checksum may be
 * unfinished where the sender is on the same machine (veth) or the packet was part of a super-packet: neither says anything
 * about the packet. Many UDP datagrams that arrive as one super-packet (UDP_SEGMENT of a sender on this machine, or joined by GRO) come as the datagrams
 * that were sent; of TCP, which comes in clear only, it stays one packet (ADR 28).
 * Throws an Error with `code` `ENODEV` if there is no such interface.
 */
export class Capture implements PacketSource {
  readonly #families: Endpoint[];
  readonly #linkHeaderBytes: number;

  private constructor(families: Endpoint[], linkHeaderBytes: number) {
    this.#families = families;
    this.#linkHeaderBytes = linkHeaderBytes;
  }

  static open(interfaceName: string, filter: FilterMaker, options: CaptureOptions = ONE_BY_ONE): Capture {
    const io = packetIo();
    let refusal: unknown;
    if (options.wantsRing) {
      try {
        const frameBytes = frameBytesOf(interfaceName);
        return new Capture(
          openFamilies(filter(ETHERNET_HEADER_BYTES), (etherType, program) =>
            io.captureRingOpen(
              interfaceName,
              etherType,
              program,
              RECEIVE_BUFFER_BYTES,
              frameBytes,
              RING_BYTES / frameBytes,
            ),
          ),
          ETHERNET_HEADER_BYTES,
        );
      } catch (error) {
        refusal = error;
      }
    }
    const families = openFamilies(filter(0), (etherType, program) =>
      io.captureOpen(interfaceName, etherType, program, RECEIVE_BUFFER_BYTES),
    );
    if (refusal !== undefined) options.onRefused(refusal as Error);
    return new Capture(families, 0);
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
  setFilter(filter: FilterMaker): void {
    const program = filter(this.#linkHeaderBytes);
    for (const endpoint of this.#families) endpoint.setFilter(program);
  }

  /** Adds what got lost before it reached a vector, since the last call: `receive-overrun` (a super-packet is one), `too-big`. */
  countLosses(drops: DropCounters): void {
    for (const endpoint of this.#families) endpoint.countLosses(drops);
  }

  /** Twice is harmless. */
  close(): void {
    for (const endpoint of this.#families) endpoint.close();
  }
}

function openFamilies(
  program: Uint8Array,
  open: (etherType: number, program: Uint8Array) => NativeHandle,
): Endpoint[] {
  const endpoints: Endpoint[] = [];
  try {
    for (const etherType of ETHERTYPES) endpoints.push(new Endpoint(open(etherType, program)));
    return endpoints;
  } catch (error) {
    for (const endpoint of endpoints) endpoint.close();
    throw error;
  }
}

/** Room for a packet of the interface's MTU: what is longer comes all the same, only not as cheap. */
function frameBytesOf(interfaceName: string): number {
  const read = (what: string) => readFileSync(`/sys/class/net/${interfaceName}/${what}`, 'utf8').trim();
  const type = read('type');
  if (!ETHERNET_LINKS.includes(type))
    throw new Error(`${interfaceName} has no Ethernet header (type ${type})`);
  const wanted = Number(read('mtu')) + FRAME_HEADER_BYTES;
  let bytes = FRAME_BYTES;
  while (bytes < wanted && bytes < FRAME_MAX_BYTES) bytes *= 2;
  return bytes;
}
