import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { type DropCounters, KEEP, verdictOf } from '../base/verdict.ts';
import type { TrustedLink } from '../dataplane/ports.ts';
import type { PacketVector } from '../dataplane/vector.ts';
import { GRE_SEQUENCED_HEADER_BYTES, GreHeader } from '../packet/gre.ts';
import { LinkCopies } from './link-copies.ts';
import { encodeLinkHeader, LINK_PORT, readLinkHeader } from './link-frame.ts';
import type { LinkStats } from './link-stats.ts';
import { packetIo } from './native.ts';
import { socketDrops } from './socket-drops.ts';

const BUFFER_BYTES = 8 * 1024 * 1024;
/** Bytes that may wait in this process for the kernel; beyond that packets are dropped, not held. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

const SEND_FAILED = verdictOf('send-failed');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');

export interface DgramLinkOptions {
  /** This host's address on the cluster network; the socket hears nothing else. */
  readonly address: string;
  readonly port?: number;
  readonly drops: DropCounters;
}

/**
 * The trusted link over node:dgram: portable, one system call per packet. It checks form and source
 * address, not the sender's right to speak: what is inside carries its own proof, and the pipeline checks the epoch.
 * The source port is always the link's own, so a host's packets stay in order on the way.
 */
export class DgramLink implements TrustedLink {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #address: string;
  readonly #drops: DropCounters;
  #countedOverrun = 0;
  #sent = 0;
  #received = 0;
  readonly #addressOf = new Map<number, string>();
  readonly #peerOf = new Map<string, number>();
  readonly #gre = new GreHeader();
  readonly #groups = new LinkCopies((packets, peer, protocol, epoch) => {
    // The peer may have been closed since the packets came.
    if (this.#addressOf.has(peer)) this.#receiver(packets, peer, protocol, epoch);
  });
  #receiver: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void = () => {};
  #flush: NodeJS.Immediate | undefined;
  #isClosed = false;

  private constructor(socket: Socket, options: DgramLinkOptions) {
    this.#socket = socket;
    this.#port = options.port ?? LINK_PORT;
    this.#address = options.address;
    this.#drops = options.drops;
    socket.on('message', (message, from) => this.#arrived(message, from));
    // After the bind an error concerns one datagram at most; the link goes on.
    socket.on('error', () => this.#drops.count('send-failed'));
  }

  /** Binds the socket; rejects with the error of `bind` (EADDRINUSE, EADDRNOTAVAIL). */
  static async open(options: DgramLinkOptions): Promise<DgramLink> {
    // Made by the addon: node can not ask for buffers beyond net.core.rmem_max, which is 92 full packets on Debian.
    const fd = packetIo().udpSocket(options.address, options.port ?? LINK_PORT, BUFFER_BYTES);
    const socket = createSocket({
      type: 'udp4',
      // Peers are addresses already: without this every packet waits for a turn of the resolver.
      lookup: (address, _options, callback) => callback(null, address, 4),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ fd }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return new DgramLink(socket, options);
  }

  setPeer(peer: number, address: string | undefined): void {
    const before = this.#addressOf.get(peer);
    if (before !== undefined) this.#peerOf.delete(before);
    this.#addressOf.delete(peer);
    if (address === undefined) return;
    if (this.#peerOf.has(address)) throw new Error(`two peers have the link address ${address}`);
    this.#addressOf.set(peer, address);
    this.#peerOf.set(address, peer);
  }

  onReceive(callback: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void): void {
    this.#receiver = callback;
  }

  send(vector: PacketVector, peer: number, epoch: number): number {
    const address = this.#addressOf.get(peer);
    let sent = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP || vector.target[i] !== peer) continue;
      if (address === undefined || this.#isClosed) {
        vector.drop(i, SEND_FAILED);
      } else if (this.#socket.getSendQueueSize() > MAX_QUEUED_BYTES) {
        vector.drop(i, QUEUE_OVERFLOW);
      } else {
        this.#sendOne(frame(vector, i, epoch), address);
        sent++;
      }
    }
    this.#sent += sent;
    return sent;
  }

  stats(): LinkStats {
    const [sent, received] = [this.#sent, this.#received];
    return {
      driver: 'dgram',
      gso: false,
      gro: false,
      sent,
      sendCalls: sent,
      received,
      receiveCalls: received,
    };
  }

  /** Adds what the kernel dropped because we did not read in time, since the last call: `receive-overrun`. */
  async countLosses(): Promise<void> {
    const overrun = await socketDrops(this.#address, this.#port);
    if (overrun > this.#countedOverrun) this.#drops.count('receive-overrun', overrun - this.#countedOverrun);
    this.#countedOverrun = overrun;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearImmediate(this.#flush);
    await new Promise<void>((resolve) => {
      this.#socket.close(resolve);
    });
  }

  #sendOne(datagram: Buffer, address: string): void {
    this.#socket.send(datagram, this.#port, address, (error) => {
      if (error !== null) this.#drops.add(SEND_FAILED);
    });
  }

  #arrived(message: Buffer, from: RemoteInfo): void {
    this.#received++;
    const peer = this.#peerOf.get(from.address);
    if (peer === undefined) {
      this.#drops.count('link-stranger');
      return;
    }
    const gre = this.#gre;
    if (!readLinkHeader(message, 0, message.length, gre)) {
      this.#drops.count('link-malformed');
      return;
    }
    const payload = message.subarray(gre.headerBytes);
    if (!this.#groups.add(payload, peer, gre.protocol, gre.key, gre.sequence)) this.#drops.count('too-big');
    // Everything that this turn of the event loop reads goes up together.
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#groups.flush();
    });
  }
}

/** A copy with GRE in front: the socket may keep it for a later turn, when the vector has been reused. */
function frame(vector: PacketVector, i: number, epoch: number): Buffer {
  const packet = vector.packet(i);
  const datagram = Buffer.allocUnsafe(GRE_SEQUENCED_HEADER_BYTES + packet.length);
  const protocol = vector.linkProtocol[i] as number;
  const headerBytes = encodeLinkHeader(datagram, 0, protocol, epoch, vector.dispatch[i] as number);
  datagram.set(packet, headerBytes);
  return datagram.subarray(0, headerBytes + packet.length);
}
