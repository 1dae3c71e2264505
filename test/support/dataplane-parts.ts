import { DROP_REASONS, type DropCounters, ELSEWHERE, SENT, verdictOf } from '../../src/base/verdict.ts';
import type { PacketSink, TrustedLink } from '../../src/dataplane/ports.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';

/** The packets of a vector that are on their way, as copies. */
function kept(vector: PacketVector): Buffer[] {
  return Array.from({ length: vector.count }, (_, i) => i)
    .filter((i) => vector.verdict[i] === 0)
    .map((i) => Buffer.from(vector.packet(i)));
}

/** A raw socket or a TUN that keeps what it gets. */
export class RecordingSink implements PacketSink {
  readonly packets: Buffer[] = [];
  /** True: the kernel refuses everything. */
  isBroken = false;

  send(vector: PacketVector): number {
    if (this.isBroken) {
      for (let i = 0; i < vector.count; i++) {
        if (vector.verdict[i] === 0) vector.drop(i, verdictOf('send-failed'));
      }
      return 0;
    }
    const packets = kept(vector);
    this.packets.push(...packets);
    return packets.length;
  }

  take(): Buffer[] {
    return this.packets.splice(0);
  }
}

export interface LinkPacket {
  readonly peer: number;
  readonly protocol: number;
  readonly epoch: number;
  readonly dispatch: number;
  readonly bytes: Buffer;
}

/** A trusted link that keeps what it is to send. */
export class RecordingLink implements TrustedLink {
  readonly sent: LinkPacket[] = [];

  send(vector: PacketVector, peer: number, epoch: number): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== 0 || vector.target[i] !== peer) continue;
      const dispatch = vector.dispatch[i] as number;
      const protocol = vector.linkProtocol[i] as number;
      this.sent.push({ peer, protocol, epoch, dispatch, bytes: Buffer.from(vector.packet(i)) });
      count++;
    }
    return count;
  }

  setPeer(): void {}
  onReceive(): void {}
  async close(): Promise<void> {}

  take(): LinkPacket[] {
    return this.sent.splice(0);
  }
}

export function vectorOf(...packets: readonly Uint8Array[]): PacketVector {
  const vector = new PacketVector(Math.max(1, packets.length));
  for (const packet of packets) if (!vector.push(packet)) throw new Error('the packet does not fit');
  return vector;
}

/** What became of each packet: `keep`, `sent`, `elsewhere` or the reason. */
export function outcomes(vector: PacketVector): string[] {
  return Array.from({ length: vector.count }, (_, i) => {
    const verdict = vector.verdict[i] as number;
    if (verdict === 0) return 'keep';
    if (verdict === SENT) return 'sent';
    if (verdict === ELSEWHERE) return 'elsewhere';
    return DROP_REASONS[verdict] ?? `verdict ${verdict}`;
  });
}

/** Counters above zero. */
export function counted(drops: DropCounters): Record<string, number> {
  return Object.fromEntries(Object.entries(drops.toJSON()).filter(([, count]) => count > 0));
}
