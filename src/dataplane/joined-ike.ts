import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ADDRESS_WORDS, isUnicastAddress } from '../packet/address.ts';
import { classifyNatTraversal, NAT_TRAVERSAL_PORT } from '../packet/esp-header.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import { type ClusterAddresses, isFromOurselves } from './classify.ts';
import type { PacketSink } from './ports.ts';
import { finishChecksum, upperAt } from './unfinished-checksum.ts';
import { PacketVector } from './vector.ts';

const NOT_ESP = verdictOf('not-esp');
const TOO_BIG = verdictOf('too-big');

/**
 * IKE that came joined to ESP. Both are on port 4500, so a network card that joins datagrams of one flow, or GRO, may make one super-packet of
 * them; the guard sees the ESP at its beginning and drops it as a whole. What of it is IKE goes to charon after all: the
 * host sends it to itself, from the peer's address. On that way the kernel asks no more whether somebody outside can have it: so what says
 * that it is from this host or cluster, or from nobody's address, stays what it is. A single IKE message never gets here, since the capture leaves it to charon.
 */
export class JoinedIke {
  readonly #raw: PacketSink;
  readonly #drops: DropCounters;
  readonly #addresses: ClusterAddresses;
  readonly #message = new PacketVector(1);
  /** Messages handed on. */
  messages = 0;

  constructor(raw: PacketSink, drops: DropCounters, addresses: ClusterAddresses) {
    this.#raw = raw;
    this.#drops = drops;
    this.#addresses = addresses;
  }

  /** Takes a classified packet that is not ESP: `ELSEWHERE`, or what it stays. */
  take(vector: PacketVector, i: number): Verdict {
    if (vector.outerDestinationPort[i] !== NAT_TRAVERSAL_PORT) return NOT_ESP;
    const at = upperAt(vector, i);
    const end = (vector.offset[i] as number) + (vector.length[i] as number);
    const payload = at + UDP_HEADER_BYTES;
    if (at < 0 || classifyNatTraversal(vector.slab, payload, end - payload) !== 'ike') return NOT_ESP;
    if (!isUnicastAddress(vector.outerSource, i * ADDRESS_WORDS)) return NOT_ESP;
    if (isFromOurselves(vector, i, this.#addresses)) return NOT_ESP;
    vector.protocol[i] = IP_PROTOCOL.UDP;
    finishChecksum(vector, i);
    const message = this.#message;
    message.reset();
    if (!message.push(vector.packet(i))) return TOO_BIG;
    this.#raw.send(message);
    if (message.verdict[0] === KEEP) this.messages++;
    else message.countDrops(this.#drops);
    return ELSEWHERE;
  }
}
