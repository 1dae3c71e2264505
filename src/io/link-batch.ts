import { getSystemErrorName } from 'node:util';
import { type DropCounters, KEEP, verdictOf } from '../base/verdict.ts';
import type { TrustedLink } from '../dataplane/ports.ts';
import type { PacketVector } from '../dataplane/vector.ts';
import { LinkArrivals } from './link-arrivals.ts';
import { encodeLinkHeader, LINK_PORT } from './link-frame.ts';
import type { LinkStats } from './link-stats.ts';
import { LinkPeers } from './link-peers.ts';
import { type NativeHandle, packetIo } from './native.ts';

const BUFFER_BYTES = 8 * 1024 * 1024;
/** Packets, about, before other sources get their turn. */
const PACKETS_PER_TURN = 256;
/** Packets of one message (UDP_SEGMENT); 1 turns it off. */
const SEGMENTS = 64;
const IP_UDP_BYTES = 28;
/** Place of one packet's header (the addon's README). */
const HEADER_PLACE_BYTES = 16;

const SEND_FAILED = verdictOf('send-failed');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');

export interface BatchLinkOptions {
  /** This host's address on the cluster network; the socket hears nothing else. */
  readonly address: string;
  readonly port?: number;
  /** Of the cluster network: longer packets go by themselves, and in fragments. */
  readonly mtu: number;
  readonly drops: DropCounters;
  /** Offloads that are wanted. */
  readonly gso: boolean;
  readonly gro: boolean;
  /** An offload turned itself off, then or later; `reason` is the name of the kernel's error. */
  readonly onOff: (offload: 'gso' | 'gro', reason: string) => void;
}

/**
 * The trusted link with many packets a system call: what goes to one peer in one vector is one call into the addon, and runs of equal
 * length are one message each (UDP_SEGMENT). On the wire it is what `DgramLink` sends, and it checks the same. No payload is copied, and
 * nothing is kept after `send`: what the socket's buffer does not take is dropped as `queue-overflow`.
 */
export class BatchLink implements TrustedLink {
  readonly #handle: NativeHandle;
  readonly #port: number;
  readonly #drops: DropCounters;
  readonly #longest: number;
  readonly #onOff: BatchLinkOptions['onOff'];
  readonly #peers = new LinkPeers();
  readonly #arrivals: LinkArrivals;
  readonly #counters = new Float64Array(7);
  readonly #outcome = new Uint32Array(2);
  #headers = Buffer.alloc(0);
  /** Two entries a packet: its place in the vector, the length of its header. */
  #frames = new Uint32Array(0);
  #segments: number;
  readonly #hasGro: boolean;
  #sent = 0;
  #sendCalls = 0;
  #countedOverrun = 0;
  #countedTooLong = 0;
  #receiver: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void = () => {};
  #isClosed = false;

  private constructor(handle: NativeHandle, options: BatchLinkOptions) {
    this.#handle = handle;
    this.#port = options.port ?? LINK_PORT;
    this.#drops = options.drops;
    this.#longest = Math.max(0, options.mtu - IP_UDP_BYTES);
    this.#onOff = options.onOff;
    this.#segments = options.gso && this.#has('gso') ? SEGMENTS : 1;
    this.#hasGro = options.gro && this.#has('gro');
    this.#arrivals = new LinkArrivals(handle, this.#peers, this.#drops, (packets, peer, protocol, epoch) => {
      // Link or peer may have been closed since the packets came.
      if (!this.#isClosed && this.#peers.has(peer)) this.#receiver(packets, peer, protocol, epoch);
    });
    packetIo().poll(handle, (status) => this.#readable(status));
  }

  /** Throws the error of `bind` (EADDRINUSE, EADDRNOTAVAIL). */
  static open(options: BatchLinkOptions): BatchLink {
    return new BatchLink(
      packetIo().udpOpen(options.address, options.port ?? LINK_PORT, BUFFER_BYTES),
      options,
    );
  }

  setPeer(peer: number, address: string | undefined): void {
    this.#peers.set(peer, address);
  }

  onReceive(callback: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void): void {
    this.#receiver = callback;
  }

  send(vector: PacketVector, peer: number, epoch: number): number {
    const address = this.#isClosed ? undefined : this.#peers.addressOf(peer);
    const count = this.#frame(vector, peer, epoch, address !== undefined);
    if (count === 0 || address === undefined) return 0;
    const { slab, offset, length, verdict } = vector;
    const sent = packetIo().udpSend(
      this.#handle,
      slab,
      offset,
      length,
      verdict,
      this.#headers,
      this.#frames,
      count,
      address,
      this.#port,
      this.#segments,
      this.#longest,
      SEND_FAILED,
      QUEUE_OVERFLOW,
      this.#outcome,
    );
    this.#sent += sent;
    this.#sendCalls += this.#outcome[0] as number;
    if (this.#outcome[1] !== 0) this.#giveUpSegments(this.#outcome[1] as number);
    return sent;
  }

  stats(): LinkStats {
    const { packets: received, calls: receiveCalls } = this.#arrivals;
    return {
      driver: 'batch',
      gso: this.#segments > 1,
      gro: this.#hasGro,
      sent: this.#sent,
      sendCalls: this.#sendCalls,
      received,
      receiveCalls,
    };
  }

  /** Adds what got lost before this process saw it, since the last call: `receive-overrun`, `too-big`. */
  async countLosses(): Promise<void> {
    packetIo().stats(this.#handle, this.#counters);
    const [, , , tooLong = 0, overrun = 0] = this.#counters;
    this.#drops.count('receive-overrun', overrun - this.#countedOverrun);
    this.#drops.count('too-big', tooLong - this.#countedTooLong);
    this.#countedOverrun = overrun;
    this.#countedTooLong = tooLong;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    packetIo().close(this.#handle);
  }

  /** Headers of the packets for this peer; returns how many there are. Without a way to it they are marked. */
  #frame(vector: PacketVector, peer: number, epoch: number, isReachable: boolean): number {
    if (vector.capacity * 2 > this.#frames.length) this.#makeRoom(vector.capacity);
    const { verdict, target, linkProtocol, dispatch } = vector;
    const headers = this.#headers;
    const frames = this.#frames;
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (verdict[i] !== KEEP || target[i] !== peer) continue;
      if (!isReachable) {
        vector.drop(i, SEND_FAILED);
        continue;
      }
      const at = count * HEADER_PLACE_BYTES;
      frames[2 * count] = i;
      frames[2 * count + 1] = encodeLinkHeader(
        headers,
        at,
        linkProtocol[i] as number,
        epoch,
        dispatch[i] as number,
      );
      count++;
    }
    return count;
  }

  #makeRoom(packets: number): void {
    this.#headers = Buffer.alloc(packets * HEADER_PLACE_BYTES);
    this.#frames = new Uint32Array(packets * 2);
  }

  #readable(status: number): void {
    if (status < 0) throw new Error(`the trusted link's socket is gone: ${getSystemErrorName(status)}`);
    const enough = this.#arrivals.packets + PACKETS_PER_TURN;
    while (!this.#isClosed && this.#arrivals.packets < enough) {
      if (!this.#arrivals.receive()) return;
    }
  }

  /** Whether the kernel has the offload; says so if not. */
  #has(offload: 'gso' | 'gro'): boolean {
    try {
      if (offload === 'gso') packetIo().udpSegmentation(this.#handle);
      else packetIo().udpCoalescing(this.#handle);
      return true;
    } catch (error) {
      this.#onOff(offload, (error as NodeJS.ErrnoException).code ?? String(error));
      return false;
    }
  }

  #giveUpSegments(errno: number): void {
    if (this.#segments === 1) return;
    this.#segments = 1;
    this.#onOff('gso', getSystemErrorName(-errno));
  }
}
