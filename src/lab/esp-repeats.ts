import type { PcapFile } from './pcap.ts';
import { ipIn } from './wire-ip.ts';

/**
 * The witness that no sequence number and no nonce was used twice: reads a capture of the outside network, on purpose
 * without the project's own header codecs. An SA of one direction is a destination address and an SPI (RFC 4303 §2.1).
 */

const PROTOCOL = { udp: 17, esp: 50 } as const;
const NAT_TRAVERSAL_PORT = 4500;
const ESP_HEADER_BYTES = 8;
/**
 * All of a counter mode's IV (RFC 4106 §3.1). Of a CBC IV, which is 16 random octets, the first half: two that are
 * alike there would be as bad a sign.
 */
const IV_BYTES = 8;

export interface EspSighting {
  readonly source: string;
  readonly destination: string;
  readonly spi: number;
  readonly sequence: number;
  /** The first 8 octets behind the ESP header. */
  readonly iv: bigint;
}

/** The ESP packet in an Ethernet frame, bare or in UDP (RFC 3948); undefined if it holds none. */
export function espIn(frame: Buffer): EspSighting | undefined {
  const ip = ipIn(frame);
  if (ip === undefined) return undefined;
  const { protocol, payload, source, destination } = ip;
  const esp = protocol === PROTOCOL.esp ? payload : protocol === PROTOCOL.udp ? espInUdp(payload) : undefined;
  if (esp === undefined || esp.length < ESP_HEADER_BYTES + IV_BYTES || esp.readUInt32BE(0) <= 255)
    return undefined;
  return {
    source,
    destination,
    spi: esp.readUInt32BE(0),
    sequence: esp.readUInt32BE(4),
    iv: esp.readBigUInt64BE(ESP_HEADER_BYTES),
  };
}

function espInUdp(datagram: Buffer): Buffer | undefined {
  if (datagram.length < 8) return undefined;
  const isNatTraversal = [0, 2].some((at) => datagram.readUInt16BE(at) === NAT_TRAVERSAL_PORT);
  return isNatTraversal ? datagram.subarray(8) : undefined;
}

export interface EspRepeat extends EspSighting {
  readonly of: 'sequence' | 'iv';
  /** Indexes of the two packets in the capture. */
  readonly packets: readonly [number, number];
}

export interface EspUse {
  /** ESP packets that were looked at. */
  readonly packets: number;
  /** Packets per SA, keyed `destination spi` (8 hex digits). */
  readonly perSa: ReadonlyMap<string, number>;
  /** Empty if nothing was used twice. */
  readonly repeats: readonly EspRepeat[];
}

/**
 * What of a capture's ESP has used a sequence number or an IV of its SA twice. `of` leaves out what is not of interest:
 * a test that records a packet and sends it again makes a repeat of its own.
 */
export function findEspRepeats(capture: PcapFile, of: (seen: EspSighting) => boolean = () => true): EspUse {
  const perSa = new Map<string, number>();
  // By SA, so that no text is made for each packet: a load has hundreds of thousands.
  const first = new Map<string, Record<EspRepeat['of'], Map<number | bigint, number>>>();
  const repeats: EspRepeat[] = [];
  let packets = 0;
  for (const [index, { bytes }] of capture.packets.entries()) {
    const seen = espIn(bytes);
    if (seen === undefined || !of(seen)) continue;
    packets += 1;
    const sa = `${seen.destination} ${seen.spi.toString(16).padStart(8, '0')}`;
    perSa.set(sa, (perSa.get(sa) ?? 0) + 1);
    const used = first.get(sa) ?? { sequence: new Map(), iv: new Map() };
    first.set(sa, used);
    for (const kind of ['sequence', 'iv'] as const) {
      const before = used[kind].get(seen[kind]);
      if (before === undefined) used[kind].set(seen[kind], index);
      else repeats.push({ ...seen, of: kind, packets: [before, index] });
    }
  }
  return { packets, perSa, repeats };
}
