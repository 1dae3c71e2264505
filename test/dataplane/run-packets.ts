import * as fc from 'fast-check';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { EspPeer } from '../support/esp-peer.ts';
import {
  ACK,
  DVIPA,
  espInUdp,
  FIN,
  icmpEcho,
  OTHER_DVIPA,
  RST,
  SYN,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';

/*
 * Packets as senders' offloads make them, many alike behind each other, and what may stand between them: strangers, forgers, fragments, the
 * beginning and the end of connections.
 */

const PSH = 8;
const SPIS = [0xc000_0001, 0xc000_0002, 0xc000_0003];
const MORE_FRAGMENTS = 0x2000;
const LATER_FRAGMENT = 0x0005;
const PORTS = [40_000, 40_001, 40_002];
/** The second one is denied by the rules of these tests' SAs. */
const SERVICES = [80, 81];
const CONGESTION = 3;

/** What several packets behind each other are. */
interface Alike {
  readonly sa: number;
  readonly flow: number;
  readonly service: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly flags: number;
  readonly fragment: number;
  /** Inside, outside. */
  readonly marks: readonly [number, number];
  readonly address: 'own' | 'other client' | 'other DVIPA';
  readonly outer: 'own' | 'other port' | 'other host' | 'ours';
  readonly fault: 'none' | 'icv' | 'replay' | 'unknown SPI' | 'late';
  readonly times: number;
}

/** Mostly the first. */
const mostly = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const alike: fc.Arbitrary<Alike> = fc.record({
  sa: mostly(0, 1, 2),
  flow: mostly(0, 1, 2),
  service: mostly(0, 1),
  protocol: fc.constantFrom('tcp', 'tcp', 'tcp', 'udp', 'icmp'),
  flags: mostly(ACK, ACK | PSH, SYN, SYN | ACK, FIN | ACK, RST),
  fragment: mostly(0, MORE_FRAGMENTS, LATER_FRAGMENT),
  marks: mostly([0, 0], [2, CONGESTION], [0, CONGESTION]),
  address: mostly('own', 'other client', 'other DVIPA'),
  outer: mostly('own', 'other port', 'other host', 'ours'),
  fault: mostly('none', 'icv', 'replay', 'unknown SPI', 'late'),
  times: fc.integer({ min: 1, max: 5 }),
});

/** Vectors of such packets. */
export const vectors = fc.array(fc.array(alike, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 5,
});

export const clientOf = (sa: number) => `192.0.2.${101 + sa}`;
export const innerOf = (sa: number) => `10.1.1.${1 + sa}`;

/** The SAs that they are of: the second takes UDP and TCP of one port only, the third has a hard limit. */
export function sasOf(direction: 'in' | 'out') {
  return SPIS.map((spi, n) =>
    testSa({
      spi,
      direction,
      group: n + 1,
      reqid: n + 1,
      client: clientOf(n),
      clientInner: innerOf(n),
      ...(n === 1 && { selector: { protocol: 6, fromPort: 80, toPort: 80 } }),
      ...(n === 2 && { lifetime: { bytes: { soft: 0, hard: 0 }, packets: { soft: 0, hard: 20 } } }),
    }),
  );
}

/** The inner packet number `n` of its kind, towards the DVIPA or from it. */
function innerPacket(of: Alike, n: number, isOut: boolean): Buffer {
  const peer = of.address === 'other client' ? '10.1.1.99' : innerOf(of.sa);
  const ours = of.address === 'other DVIPA' ? OTHER_DVIPA : DVIPA;
  const [peerPort, port] = [PORTS[of.flow] as number, SERVICES[of.service] as number];
  const fields = {
    source: isOut ? ours : peer,
    destination: isOut ? peer : ours,
    sourcePort: isOut ? port : peerPort,
    destinationPort: isOut ? peerPort : port,
    trafficClass: of.marks[0],
    fragment: of.fragment,
  };
  const data = 'x'.repeat(n % 3);
  if (of.protocol === 'icmp') return icmpEcho(fields);
  return of.protocol === 'udp'
    ? udp({ ...fields, data: Buffer.from(data) })
    : tcp({ ...fields, flags: of.flags, data });
}

export const innerPackets = (vector: readonly Alike[]): Buffer[] =>
  vector.flatMap((of) => Array.from({ length: of.times }, (_, n) => innerPacket(of, n, true)));

/** Seals what peers, and others, send; one for all vectors. */
export class Peers {
  readonly #peers = SPIS.map((spi) => new EspPeer('aes128gcm16', spi));
  readonly #stranger = new EspPeer('aes128gcm16', 0xc000_0099);

  datagrams(vector: readonly Alike[]): Buffer[] {
    return vector.flatMap((of) => Array.from({ length: of.times }, (_, n) => this.#datagram(of, n)));
  }

  #datagram(of: Alike, n: number): Buffer {
    const peer = of.fault === 'unknown SPI' ? this.#stranger : (this.#peers[of.sa] as EspPeer);
    const next = peer.sequence + (of.fault === 'late' ? 70 : 1);
    const sequence = of.fault === 'replay' ? Math.max(0, peer.sequence - n) : next;
    peer.sequence = Math.max(peer.sequence, sequence);
    const esp = peer.seal(innerPacket(of, n, false), sequence);
    if (of.fault === 'icv') esp.writeUInt8(esp.readUInt8(esp.length - 1) ^ 1, esp.length - 1);
    const source = of.outer === 'other host' ? '192.0.2.199' : of.outer === 'ours' ? DVIPA : clientOf(of.sa);
    return espInUdp(esp, {
      source,
      sourcePort: of.outer === 'other port' ? 4501 : 4500,
      trafficClass: of.marks[1],
    });
  }
}

/** Of a vector that is used again and again, as a pipeline's is. */
export class ReusedVector {
  readonly vector = new PacketVector(64);
  #dispatch = 0;

  /** `knowsRuns` false: every packet goes the long way. */
  constructor(knowsRuns: boolean) {
    if (knowsRuns) return;
    for (const column of ['sameOuter', 'sameInner'])
      Object.defineProperty(this.vector, column, { value: new Uint8Array(0) });
  }

  fill(packets: readonly Uint8Array[]): PacketVector {
    const { vector } = this;
    vector.reset();
    for (const packet of packets) vector.push(packet);
    for (let i = 0; i < vector.count; i++) vector.dispatch[i] = ++this.#dispatch;
    return vector;
  }
}
