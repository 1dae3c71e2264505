import type { PacketSink, TrustedLink } from '../../../src/dataplane/ports.ts';
import { PacketVector } from '../../../src/dataplane/vector.ts';
import { isDispatch } from '../../../src/io/link-frame.ts';
import type { LinkSnapshot, SendingSnapshot } from '../../../src/observe/snapshots.ts';
import type { Random } from '../../sim/event-queue.ts';
import type { ManualClock } from '../manual-clock.ts';

/** What may go wrong on a wire, as probabilities per packet. */
export interface WireFaults {
  readonly loss: number;
  readonly duplicates: number;
  /** Packets that are late by up to this many milliseconds: they overtake each other. */
  readonly jitterMs: number;
}

export const NO_FAULTS: WireFaults = { loss: 0, duplicates: 0, jitterMs: 0 };

interface LinkDatagram {
  readonly from: string;
  readonly protocol: number;
  readonly epoch: number;
  readonly dispatch: number;
  readonly bytes: Buffer;
}

/**
 * The networks of a cluster in memory: datagrams between addresses with delay, and what a listener on the wire would
 * have seen. Time is the test's clock.
 */
export class Network {
  faults = NO_FAULTS;
  readonly #clock: ManualClock;
  readonly #random: Random;
  readonly #links = new Map<string, MemoryLink>();
  /** Every byte string that crossed a wire, outside or cluster. */
  readonly wiretap: Buffer[] = [];

  constructor(clock: ManualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  openLink(address: string): MemoryLink {
    const link = new MemoryLink(this, address);
    this.#links.set(address, link);
    return link;
  }

  closeLink(link: MemoryLink): void {
    if (this.#links.get(link.address) === link) this.#links.delete(link.address);
  }

  /** Hands everything that has arrived on a link to its owner, as vectors. */
  deliver(): void {
    for (const link of this.#links.values()) link.deliver();
  }

  toLink(address: string, datagram: LinkDatagram): void {
    this.carry(datagram.bytes, () => this.#links.get(address)?.arrived(datagram));
  }

  /** One datagram on a wire: late, lost, twice, as the faults say. */
  carry(bytes: Buffer, deliver: () => void): void {
    this.wiretap.push(bytes);
    const { loss, duplicates, jitterMs } = this.faults;
    if (this.#random.chance(loss)) return;
    for (
      const copies = this.#random.chance(duplicates) ? 2 : 1, sent = { count: 0 };
      sent.count < copies;
      sent.count++
    ) {
      this.#clock.after(1 + this.#random.integer(0, jitterMs), deliver);
    }
  }
}

/** One host's end of the trusted link. */
export class MemoryLink implements TrustedLink {
  readonly address: string;
  readonly #network: Network;
  readonly #addressOf = new Map<number, string>();
  readonly #arrivals: LinkDatagram[] = [];
  #receiver: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void = () => {};
  strangers = 0;

  constructor(network: Network, address: string) {
    this.#network = network;
    this.address = address;
  }

  send(vector: PacketVector, peer: number, epoch: number): number {
    let count = 0;
    const to = this.#addressOf.get(peer);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== 0 || vector.target[i] !== peer || to === undefined) continue;
      const dispatch = vector.dispatch[i] as number;
      const protocol = vector.linkProtocol[i] as number;
      const bytes = Buffer.from(vector.packet(i));
      this.#network.toLink(to, { from: this.address, protocol, epoch, dispatch, bytes });
      count++;
    }
    return count;
  }

  setPeer(peer: number, address: string | undefined): void {
    if (address === undefined) this.#addressOf.delete(peer);
    else this.#addressOf.set(peer, address);
  }

  onReceive(callback: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void): void {
    this.#receiver = callback;
  }

  /** Nothing that is here makes a system call. */
  stats(): LinkSnapshot {
    const none = { sent: 0, sendCalls: 0, received: 0, receiveCalls: 0 };
    return { driver: 'batch', gso: false, gro: false, ...none };
  }

  async close(): Promise<void> {
    this.#network.closeLink(this);
  }

  arrived(datagram: LinkDatagram): void {
    this.#arrivals.push(datagram);
  }

  deliver(): void {
    while (this.#arrivals.length > 0) {
      const [first] = this.#arrivals as [LinkDatagram];
      const { from, protocol, epoch } = first;
      const isSame = (other: LinkDatagram) =>
        other.from === from && other.protocol === protocol && other.epoch === epoch;
      const end = this.#arrivals.findIndex((other) => !isSame(other));
      const group = this.#arrivals.splice(0, end < 0 ? this.#arrivals.length : end);
      const peer = [...this.#addressOf].find(([, address]) => address === from)?.[0];
      if (peer === undefined) this.strangers += group.length;
      else this.#receiver(arrivals(group, protocol), peer, protocol, epoch);
    }
  }
}

/** As the driver `batch` hands them up: dispatches one behind the other, so whoever writes around one spoils the next. */
function arrivals(datagrams: readonly LinkDatagram[], protocol: number): PacketVector {
  if (!isDispatch(protocol)) return vectorWith(datagrams);
  const vector = PacketVector.over(
    Buffer.concat(datagrams.map(({ bytes }) => bytes)),
    Math.max(1, datagrams.length),
  );
  let at = 0;
  for (const { bytes, dispatch } of datagrams) {
    const i = vector.count++;
    vector.offset[i] = at;
    vector.length[i] = bytes.length;
    vector.dispatch[i] = dispatch;
    at += bytes.length;
  }
  return vector;
}

function vectorWith(datagrams: readonly LinkDatagram[]): PacketVector {
  const vector = new PacketVector(datagrams.length);
  datagrams.forEach(({ bytes, dispatch }, i) => {
    vector.push(bytes);
    vector.dispatch[i] = dispatch;
  });
  return vector;
}

/** A socket or TUN that gives each packet away. */
export class Sink implements PacketSink {
  readonly #give: (packet: Buffer) => void;
  #packets = 0;

  constructor(give: (packet: Buffer) => void) {
    this.#give = give;
  }

  send(vector: PacketVector): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== 0) continue;
      this.#give(Buffer.from(vector.packet(i)));
      count++;
    }
    this.#packets += count;
    return count;
  }

  /** As `RawSocket`'s; there are no runs here. */
  sending(): SendingSnapshot {
    return { packets: this.#packets, runs: 0, packetsInRuns: 0 };
  }
}

/** A vector of these packets; it is new, so nothing of it is shared. */
export function vectorOfAll(packets: readonly Uint8Array[]): PacketVector {
  const vector = new PacketVector(Math.max(1, packets.length));
  for (const packet of packets) vector.push(packet);
  return vector;
}
