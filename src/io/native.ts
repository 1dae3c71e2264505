import { fileURLToPath } from 'node:url';
import nodeGypBuild from 'node-gyp-build';

declare const endpointBrand: unique symbol;
/** A descriptor inside the addon. It is closed by `close`, or when it is collected and not watched. */
export interface NativeHandle {
  readonly [endpointBrand]: true;
}

declare const crewBrand: unique symbol;
/** Threads that do parts of a call (`plugins/node/crew.h`). They end with `crewClose`, and when it is collected. */
export interface NativeCrew {
  readonly [crewBrand]: true;
}

/**
 * The functions of `plugins/node/packet-io` (see the README there): mechanism only, on slabs and typed
 * arrays that belong to the caller. Misuse throws; a packet that the kernel refuses gets a verdict.
 */
export interface PacketIo {
  /**
   * `vnetHeader`: the kernel may leave segmentation and checksums to the addon; vectors hold ordinary packets all the same. `queues`: of a
   * device that may have several (IFF_MULTI_QUEUE), so many, of which more than one need `vnetHeader`; 0, or not given: of one that may not.
   */
  tunOpen(name: string, options: { persist?: boolean; vnetHeader?: boolean; queues?: number }): NativeHandle;
  captureOpen(
    interfaceName: string,
    etherType: number,
    program: Uint8Array,
    receiveBufferBytes: number,
  ): NativeHandle;
  /**
   * The same by memory that the kernel fills, with super-packets taken apart: packets up to about `frameBytes` (a power of two) lie in
   * so many frames, longer ones wait in the receive buffer. The program sees the link header, which must be Ethernet's.
   */
  captureRingOpen(
    interfaceName: string,
    etherType: number,
    program: Uint8Array,
    receiveBufferBytes: number,
    frameBytes: number,
    frames: number,
  ): NativeHandle;
  /** What a ring does with a UDP super-packet of datagrams with `size` bytes each; -1: it can not be taken apart. */
  segments(
    packet: Uint8Array,
    size: number,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    roomBytes: number,
    from: number,
    max: number,
  ): number;
  /** Whole frames of one EtherType (ARP, IPv6) on one interface, in and out. */
  linkOpen(interfaceName: string, etherType: number): NativeHandle;
  /** `groups`: multicast groups of this netlink family, as bits; only `netlinkHeard`, `stats` and `close` are for it. */
  netlinkOpen(protocol: number, groups: number): NativeHandle;
  /** Whether the kernel has told anything since the last call, or could not. */
  netlinkHeard(handle: NativeHandle): boolean;
  /** From the next packet on, in one step. */
  captureFilter(handle: NativeHandle, program: Uint8Array): void;
  /** Runs of ESP in UDP from `runPort` leave as one message each, from sockets at `sourcePort`; `runPort` 0: every packet is a message. */
  rawOpen(mark: number, sendBufferBytes: number, runPort: number, sourcePort: number): NativeHandle;
  /** runs, their packets, open sockets of sources, errno with which runs were refused, errno of the last socket that failed. */
  rawRuns(handle: NativeHandle, counters: Float64Array): void;
  /** Closes sockets of sources that no run left from since the last call. */
  rawCloseIdle(handle: NativeHandle): void;
  /** A bound descriptor with large buffers, for node:dgram to take over and close. */
  udpSocket(address: string, port: number, bufferBytes: number): number;
  /** As `udpSocket`, but an endpoint: for the functions that follow, `poll`, `stats` and `close`. */
  udpOpen(address: string, port: number, bufferBytes: number): NativeHandle;
  /** Throws if the kernel has no UDP_SEGMENT. */
  udpSegmentation(handle: NativeHandle): void;
  /** UDP_GRO from now on; throws if the kernel has it not. */
  udpCoalescing(handle: NativeHandle): void;
  /** `frames` has two entries a packet: its place in the vector, the length of its header. `outcome`: system calls, errno of segmentation. */
  udpSend(
    handle: NativeHandle,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    verdict: Uint8Array,
    headers: Uint8Array,
    frames: Uint32Array,
    count: number,
    address: number,
    port: number,
    segments: number,
    longest: number,
    refused: number,
    overflow: number,
    outcome: Uint32Array,
  ): number;
  /** Packets where they lie in the slab, with where they came from; how many messages they were goes into `messagesReceived`. */
  udpReceive(
    handle: NativeHandle,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    source: Uint32Array,
    messages: number,
    messageBytes: number,
    messagesReceived: Uint32Array,
  ): number;
  copyPackets(
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    toSlab: Buffer,
    toOffset: Uint32Array,
    count: number,
  ): void;
  /** `workers`: 1 to 64, the calling thread included; the crew has fewer where the kernel gives no more. */
  crewOpen(workers: number): NativeCrew;
  /** workers, errno that left some out, runs, wake-ups, stalls; also of a closed one. */
  crewStats(crew: NativeCrew, counters: Float64Array): void;
  /** Ends the threads; whoever has the crew works alone from then on. Twice is harmless. */
  crewClose(crew: NativeCrew): void;
  /** For tests: a run of a unit for each entry, which counts itself, notes its worker and keeps it busy. */
  crewTry(crew: NativeCrew, counts: Uint32Array, workers: Uint8Array, busyNs: number): void;
  receive(
    handle: NativeHandle,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    roomBytes: number,
    from: number,
    max: number,
  ): number;
  send(
    handle: NativeHandle,
    slab: Buffer,
    offset: Uint32Array,
    length: Uint32Array,
    verdict: Uint8Array,
    from: number,
    count: number,
    refused: number,
    tooBig: number,
  ): number;
  /** Who helps to move vectors from now on, where the endpoint has parts to give: queues of a TUN. */
  endpointCrew(handle: NativeHandle, crew: NativeCrew): void;
  /** `status` is negative when the descriptor is gone (its device was deleted) and watching has ended. */
  poll(handle: NativeHandle, callback: (status: number) => void): void;
  /** Of this thread's watched endpoints, when more than `busyPacketsPerMs` come: so long from a look to the next, after fewer than `enough`. */
  pauseSet(microseconds: number, busyPacketsPerMs: number, enough: number): void;
  /** received, sent, refused, too long, overrun, errors, last errno. */
  stats(handle: NativeHandle, counters: Float64Array): void;
  close(handle: NativeHandle): void;
}

let loaded: PacketIo | undefined;

/** Loads the addon once; throws with the way to build it if it is not there. */
export function packetIo(): PacketIo {
  loaded ??= load();
  return loaded;
}

function load(): PacketIo {
  const folder =
    process.env['DVIPA_PACKET_IO'] ?? fileURLToPath(new URL('../../plugins/node/packet-io', import.meta.url));
  try {
    return nodeGypBuild(folder) as PacketIo;
  } catch (cause) {
    throw new Error(`the addon packet-io is not built (scripts/build-addons): ${folder}`, { cause });
  }
}
