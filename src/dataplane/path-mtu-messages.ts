import { ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { PathMtu } from '../ipsec/path-mtu.ts';
import { ADDRESS_WORDS, equalAddresses } from '../packet/address.ts';
import {
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER_BYTES,
  ICMP_TYPE,
  IcmpHeader,
  parseIcmp,
} from '../packet/icmp.ts';
import { ICMPV6_HEADER_BYTES, ICMPV6_TYPE, Icmpv6Header, parseIcmpv6 } from '../packet/icmpv6.ts';
import { Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import { Ipv6Header, parseIpv6 } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { parseQuote, QuotedPacket } from '../packet/quoted.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import type { SendingSa } from './outbound-steps.ts';
import type { PacketVector } from './vector.ts';

const ICMP_REFUSED = verdictOf('icmp-refused');
const SPI_BYTES = 4;
/** A path becomes narrower at most so often: each step costs every target a record. */
const MESSAGE_INTERVAL_MS = 100;

export interface PathMtuMessagesOptions<Entry extends SendingSa> {
  /** Outbound SAs with this SPI; peers choose them, so there may be several. */
  readonly withSpi: (spi: number) => Iterable<Entry>;
  /** The SA's path is narrower from now on. */
  readonly onLowered: (entry: Entry, now: number) => void;
}

/**
 * "Fragmentation needed" (RFC 1191) and "packet too big" (RFC 8201) about what this cluster has sealed: all of them reach the routing host,
 * since its endpoint is the source of every outer packet. Nobody authenticates them. One is believed if it quotes the addresses, the
 * ports and the SPI of a live outbound SA (RFC 4301 section 8.2.1); then it can make a path narrower, down to a floor, for ten minutes.
 */
export class PathMtuMessages<Entry extends SendingSa = SendingSa> {
  readonly #options: PathMtuMessagesOptions<Entry>;
  readonly #heardAt = new WeakMap<PathMtu, number>();
  readonly #ipv4 = new Ipv4Header();
  readonly #ipv6 = new Ipv6Header();
  readonly #icmp = new IcmpHeader();
  readonly #icmpv6 = new Icmpv6Header();
  readonly #quoted = new QuotedPacket();
  /** Of the message at hand. */
  #mtu = 0;

  constructor(options: PathMtuMessagesOptions<Entry>) {
    this.#options = options;
  }

  /**
   * Packet `i` was classified, is whole, is addressed to us and is no ESP. ELSEWHERE: it was such a message, and heard. KEEP: it is something
   * else, and stays what it was. Else a reason to drop it.
   */
  take(vector: PacketVector, i: number, now: number): Verdict {
    const quoteAt = vector.family[i] === 6 ? this.#read6(vector, i) : this.#read4(vector, i);
    if (quoteAt <= 0) return -quoteAt;
    const end = (vector.outerOffset[i] as number) + (vector.length[i] as number);
    const entry = this.#quotedSa(vector, i, quoteAt, end - quoteAt);
    if (entry === undefined) return ICMP_REFUSED;
    const { path } = entry.fit;
    if (this.#mtu >= path.current(now)) return ELSEWHERE; // known: several packets were on their way
    if (now - (this.#heardAt.get(path) ?? Number.NEGATIVE_INFINITY) < MESSAGE_INTERVAL_MS)
      return ICMP_REFUSED;
    if (path.lower(this.#mtu, this.#quoted.totalBytes, now)) {
      this.#heardAt.set(path, now);
      this.#options.onLowered(entry, now);
    }
    return ELSEWHERE;
  }

  /** Where the quote is; else a verdict with its sign changed, 0: it is no such message. */
  #read4(vector: PacketVector, i: number): number {
    const at = vector.outerOffset[i] as number;
    const header = this.#ipv4;
    if (parseIpv4(vector.slab, at, vector.length[i] as number, header) !== KEEP) return KEEP;
    if (header.protocol !== IP_PROTOCOL.ICMP) return KEEP;
    const icmpAt = at + header.headerBytes;
    const bad = parseIcmp(vector.slab, icmpAt, header.totalBytes - header.headerBytes, this.#icmp);
    if (bad !== KEEP) return -bad;
    const { type, code, mtu } = this.#icmp;
    if (type !== ICMP_TYPE.DESTINATION_UNREACHABLE || code !== ICMP_FRAGMENTATION_NEEDED) return KEEP;
    this.#mtu = mtu;
    return icmpAt + ICMP_HEADER_BYTES;
  }

  #read6(vector: PacketVector, i: number): number {
    const at = vector.outerOffset[i] as number;
    const header = this.#ipv6;
    if (parseIpv6(vector.slab, at, vector.length[i] as number, header) !== KEEP) return KEEP;
    if (header.protocol !== IP_PROTOCOL.ICMPV6) return KEEP;
    const icmpAt = at + header.headerBytes;
    const words = i * ADDRESS_WORDS;
    const bad = parseIcmpv6(
      vector.slab,
      icmpAt,
      header.totalBytes - header.headerBytes,
      vector.outerSource,
      words,
      vector.outerDestination,
      words,
      this.#icmpv6,
    );
    if (bad !== KEEP) return -bad;
    if (this.#icmpv6.type !== ICMPV6_TYPE.PACKET_TOO_BIG) return KEEP;
    this.#mtu = this.#icmpv6.mtu;
    return icmpAt + ICMPV6_HEADER_BYTES;
  }

  #quotedSa(vector: PacketVector, i: number, at: number, bytes: number): Entry | undefined {
    const quoted = this.#quoted;
    if (parseQuote(vector.slab, at, bytes, quoted) !== KEEP) return undefined;
    // A router tells the source of the packet, nobody else.
    const isOurs = equalAddresses(quoted.source, 0, vector.outerDestination, i * ADDRESS_WORDS);
    const isUdp = quoted.protocol === IP_PROTOCOL.UDP;
    const spiAt = quoted.upperAt + (isUdp ? UDP_HEADER_BYTES : 0);
    const isShown = quoted.upperBytes >= SPI_BYTES + (isUdp ? UDP_HEADER_BYTES : 0);
    if (!isOurs || !isShown || quoted.isLaterFragment) return undefined;
    for (const entry of this.#options.withSpi(vector.slab.readUInt32BE(at + spiAt)))
      if (isPacketOf(entry, quoted)) return entry;
    return undefined;
  }
}

function isPacketOf({ outer }: SendingSa, quoted: QuotedPacket): boolean {
  const protocol = outer.hasUdpEncapsulation ? IP_PROTOCOL.UDP : IP_PROTOCOL.ESP;
  return (
    quoted.protocol === protocol &&
    equalAddresses(outer.source, 0, quoted.source, 0) &&
    equalAddresses(outer.destination, 0, quoted.destination, 0) &&
    (!outer.hasUdpEncapsulation ||
      (quoted.sourcePort === outer.sourcePort && quoted.destinationPort === outer.destinationPort))
  );
}
