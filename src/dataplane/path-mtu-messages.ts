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
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { parseQuote, QuotedPacket } from '../packet/quoted.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import type { OutboundSad } from './outbound-sad.ts';
import type { SendingSa } from './sending-sa.ts';
import type { PacketVector } from './vector.ts';

const PATH_MTU_REFUSED = verdictOf('path-mtu-refused');

/** What is believed of one path costs every target a record: not more often than this. */
const HEARD_INTERVAL_MS = 100;
/** A quote must show the SPI and the sequence number. */
const ESP_QUOTED_BYTES = 8;

export interface PathMtuOptions<Entry extends SendingSa> {
  readonly sad: Pick<OutboundSad<Entry>, 'withSpi'>;
  /**
   * A believed message about the path of this SA, which is as narrow as `fit.outerMtu` says. `isNews`: since now. Else somebody sends
   * packets that are too long although we know, so whoever sends must be told.
   */
  readonly onHeard: (entry: Entry, isNews: boolean) => void;
}

/**
 * "Fragmentation needed" and "packet too big" from the way to a peer (RFC 4301 section 8.2). They are not authenticated, so one is believed only
 * if it quotes a packet of a live SA, with both outer addresses and the SPI, and then no further than `PathMtu` allows.
 */
export class PathMtuMessages<Entry extends SendingSa> {
  readonly #options: PathMtuOptions<Entry>;
  readonly #icmp = new IcmpHeader();
  readonly #icmpv6 = new Icmpv6Header();
  readonly #quote = new QuotedPacket();
  #mtu = 0;
  readonly #heardAt = new WeakMap<PathMtu, number>();

  constructor(options: PathMtuOptions<Entry>) {
    this.#options = options;
  }

  /** Packet `i` is to us, whole, and no ESP: `verdict` as it was if it is no such message; ELSEWHERE: it was believed. */
  take(vector: PacketVector, i: number, now: number, verdict: Verdict): Verdict {
    const quoteAt = this.#read(vector, i);
    if (quoteAt < 0) return verdict;
    const end = (vector.offset[i] as number) + (vector.length[i] as number);
    const entry = this.#match(vector.slab, quoteAt, end - quoteAt);
    if (entry === undefined) return PATH_MTU_REFUSED;
    const { fit } = entry;
    if (now - (this.#heardAt.get(fit.path) ?? Number.NEGATIVE_INFINITY) < HEARD_INTERVAL_MS) return ELSEWHERE;
    const isNews = fit.lower(this.#mtu, this.#quote.totalBytes, now);
    if (!fit.path.isLowered(now)) return ELSEWHERE; // it tells of more than our own link takes
    this.#heardAt.set(fit.path, now);
    fit.refresh(now);
    this.#options.onHeard(entry, isNews);
    return ELSEWHERE;
  }

  /** Where the quote begins; -1: the packet is something else. */
  #read(vector: PacketVector, i: number): number {
    const { slab } = vector;
    const offset = vector.offset[i] as number;
    const length = vector.length[i] as number;
    if (vector.family[i] === 6) {
      if (slab.readUInt8(offset + 6) !== IP_PROTOCOL.ICMPV6) return -1;
      const at = offset + IPV6_HEADER_BYTES;
      const { outerSource, outerDestination } = vector;
      const words = i * ADDRESS_WORDS;
      const bytes = length - IPV6_HEADER_BYTES;
      const header = this.#icmpv6;
      const bad = parseIcmpv6(slab, at, bytes, outerSource, words, outerDestination, words, header);
      if (bad !== KEEP || header.type !== ICMPV6_TYPE.PACKET_TOO_BIG) return -1;
      this.#mtu = header.mtu;
      return at + ICMPV6_HEADER_BYTES;
    }
    if (slab.readUInt8(offset + 9) !== IP_PROTOCOL.ICMP) return -1;
    const headerBytes = (slab.readUInt8(offset) & 15) * 4;
    const header = this.#icmp;
    if (parseIcmp(slab, offset + headerBytes, length - headerBytes, header) !== KEEP) return -1;
    const isUnreachable = header.type === ICMP_TYPE.DESTINATION_UNREACHABLE;
    if (!isUnreachable || header.code !== ICMP_FRAGMENTATION_NEEDED) return -1;
    this.#mtu = header.mtu;
    return offset + headerBytes + ICMP_HEADER_BYTES;
  }

  #match(slab: Buffer, at: number, length: number): Entry | undefined {
    const quote = this.#quote;
    if (parseQuote(slab, at, length, quote) !== KEEP || quote.isLaterFragment) return undefined;
    const isUdp = quote.protocol === IP_PROTOCOL.UDP;
    if (!isUdp && quote.protocol !== IP_PROTOCOL.ESP) return undefined;
    const espAt = quote.upperAt + (isUdp ? UDP_HEADER_BYTES : 0);
    if (quote.upperBytes < ESP_QUOTED_BYTES + (isUdp ? UDP_HEADER_BYTES : 0)) return undefined;
    const spi = slab.readUInt32BE(at + espAt);
    for (const entry of this.#options.sad.withSpi(spi) ?? []) if (this.#isFrom(entry, isUdp)) return entry;
    return undefined;
  }

  #isFrom({ outer }: Entry, isUdp: boolean): boolean {
    const quote = this.#quote;
    if (outer.hasUdpEncapsulation !== isUdp) return false;
    if (isUdp && quote.sourcePort !== outer.sourcePort) return false;
    if (isUdp && quote.destinationPort !== outer.destinationPort) return false;
    return (
      equalAddresses(outer.source, 0, quote.source, 0) &&
      equalAddresses(outer.destination, 0, quote.destination, 0)
    );
  }
}
