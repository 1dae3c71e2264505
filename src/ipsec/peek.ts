import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_TRAILER_BYTES } from '../packet/esp-header.ts';
import { Ipv4Header, parseIpv4 } from '../packet/ipv4.ts';
import { hasPorts, IP_PROTOCOL } from '../packet/protocols.ts';
import { TCP_FLAGS_OFFSET } from '../packet/tcp.ts';
import { lookupEncryption } from './algorithms.ts';
import { BLOCK_BYTES, type InnerReader, LEAD_BLOCKS, SPAN_BLOCKS } from './inner-reader.ts';
import type { EspKeys } from './packet-crypto.ts';
import { PeekBlocks } from './peek-blocks.ts';
import { PeekStream } from './peek-stream.ts';
import type { InnerColumns } from './tunnel-check.ts';

/** What `peek` reads and writes; a `PacketVector` is one. */
export interface PeekBatch extends InnerColumns {
  readonly count: number;
  readonly slab: Buffer;
  /** Where ESP starts in the slab, and how long it is from SPI to ICV. */
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
  readonly saSlot: Int32Array;
  readonly verdict: Uint8Array;
  /** Out: flags byte of TCP, 0 for other protocols. */
  readonly tcpFlags: Uint8Array;
  /** Out: the ESP trailer's next header. */
  readonly nextHeader: Uint8Array;
}

/** What a peek needs of an SA. */
export interface PeekKeys extends EspKeys {
  readonly mode: 'tunnel' | 'transport';
}

const UNKNOWN_SPI = verdictOf('unknown-spi');
const TRUNCATED = verdictOf('truncated');
const PEEK_MALFORMED = verdictOf('peek-malformed');
const DUMMY = verdictOf('dummy');

const LEAD_BYTES = LEAD_BLOCKS * BLOCK_BYTES;

/** One SA, and the packets of the current batch that are its. */
interface PeekEntry {
  readonly blocks: InnerReader;
  readonly members: number[];
}

/**
 * Looks at the inner headers of ESP packets without opening them (claims 4 and 5): decrypts the first three
 * blocks and the one with the trailer, whatever the packet's size. All packets of one SA in a batch cost
 * one call into the cipher, with AES.
 *
 * NOTHING HERE IS AUTHENTICATED. In counter mode and in CBC's first block anyone can flip header bits at
 * will. What a peek shows may choose a target for this packet, and no more: no window moves, no
 * durable entry is made, nothing is counted for the SA (docs/inbound.md).
 *
 * Tunnel mode with IPv4 inside. Inner IPv6 sets `family` 6 and is `peek-malformed`, until its columns exist.
 */
export class Peeker {
  readonly #entries = new Map<number, PeekEntry>();
  readonly #touched: PeekEntry[] = [];
  readonly #ipv4 = new Ipv4Header();

  /** Throws if the algorithm is not supported, or for transport mode. */
  install(saSlot: number, keys: PeekKeys): void {
    if (keys.mode !== 'tunnel') throw new Error('only tunnel mode can be peeked at');
    this.remove(saSlot);
    this.#entries.set(saSlot, { blocks: readerOf(keys), members: [] });
  }

  /** Later packets of the slot get `unknown-spi`. The key schedule is released at once. */
  remove(saSlot: number): void {
    this.#entries.get(saSlot)?.blocks.close();
    this.#entries.delete(saSlot);
  }

  /**
   * Fills the inner columns of every packet with verdict 0. Drops: `unknown-spi`, `truncated`, `dummy` (RFC 4303
   * section 2.6), and `peek-malformed`, which a genuine packet gets as well if its inner header is none.
   */
  peek(batch: PeekBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] === KEEP) this.#assign(batch, i);
    }
    for (const entry of this.#touched) {
      const plain = entry.blocks.decrypt(batch, entry.members);
      for (let at = 0; at < entry.members.length; at++) {
        const i = entry.members[at] as number;
        batch.verdict[i] = this.#read(batch, i, entry.blocks, plain, at * SPAN_BLOCKS * BLOCK_BYTES);
      }
      plain.fill(0);
      entry.members.length = 0;
    }
    this.#touched.length = 0;
  }

  #assign(batch: PeekBatch, i: number): void {
    const entry = this.#entries.get(batch.saSlot[i] as number);
    const start = batch.espOffset[i] as number;
    const length = batch.espLength[i] as number;
    if (entry?.blocks.isUsable !== true) {
      batch.verdict[i] = UNKNOWN_SPI;
    } else if (entry.blocks.cipherBytes(length) < ESP_TRAILER_BYTES || start + length > batch.slab.length) {
      batch.verdict[i] = TRUNCATED;
    } else if (batch.slab.readUInt32BE(start) !== entry.blocks.spi) {
      batch.verdict[i] = UNKNOWN_SPI;
    } else {
      if (entry.members.length === 0) this.#touched.push(entry);
      entry.members.push(i);
    }
  }

  /** Reads the decrypted lead at `at` of `plain` (and the trailer block behind it) into the columns. */
  #read(batch: PeekBatch, i: number, blocks: InnerReader, plain: Buffer, at: number): Verdict {
    const cipherBytes = blocks.cipherBytes(batch.espLength[i] as number);
    const nextHeader = plain.readUInt8(at + LEAD_BYTES + ((cipherBytes - 1) % BLOCK_BYTES));
    batch.nextHeader[i] = nextHeader;
    if (nextHeader === IP_PROTOCOL.NO_NEXT_HEADER) return DUMMY;
    batch.family[i] = nextHeader === IP_PROTOCOL.IPV6 ? 6 : 4;
    if (nextHeader !== IP_PROTOCOL.IPV4) return PEEK_MALFORMED;
    if (parseIpv4(plain, at, cipherBytes - ESP_TRAILER_BYTES, this.#ipv4) !== KEEP) return PEEK_MALFORMED;
    const { headerBytes, totalBytes, protocol, isFragment, fragmentOffset } = this.#ipv4;
    batch.innerSource[i] = this.#ipv4.source;
    batch.innerDestination[i] = this.#ipv4.destination;
    batch.protocol[i] = protocol;
    batch.isFragment[i] = isFragment ? 1 : 0;
    batch.sourcePort[i] = 0;
    batch.destinationPort[i] = 0;
    batch.tcpFlags[i] = 0;
    const needed = fragmentOffset === 0 ? upperBytesNeeded(protocol) : 0;
    if (needed === 0) return KEEP;
    if (headerBytes + needed > totalBytes) return PEEK_MALFORMED;
    if (headerBytes + needed <= LEAD_BYTES) return readUpper(batch, i, plain, at + headerBytes);
    const long = blocks.decryptLong(batch.slab, batch.espOffset[i] as number, cipherBytes);
    const verdict = readUpper(batch, i, long, headerBytes);
    long.fill(0);
    return verdict;
  }
}

function readerOf(keys: EspKeys): InnerReader {
  const method = lookupEncryption(keys.encryption.transform)?.peek.method;
  return method === 'chacha20' || method === 'clear' ? new PeekStream(keys) : new PeekBlocks(keys);
}

/** Bytes of the upper header that are looked at: ports and flags, type and code, or none. */
function upperBytesNeeded(protocol: number): number {
  if (protocol === IP_PROTOCOL.TCP) return TCP_FLAGS_OFFSET + 1;
  if (protocol === IP_PROTOCOL.ICMP) return 2;
  return hasPorts(protocol) ? 4 : 0;
}

function readUpper(batch: PeekBatch, i: number, plain: Buffer, at: number): Verdict {
  const protocol = batch.protocol[i] as number;
  if (protocol === IP_PROTOCOL.ICMP) {
    batch.destinationPort[i] = plain.readUInt16BE(at);
    return KEEP;
  }
  batch.sourcePort[i] = plain.readUInt16BE(at);
  batch.destinationPort[i] = plain.readUInt16BE(at + 2);
  if (protocol === IP_PROTOCOL.TCP) batch.tcpFlags[i] = plain.readUInt8(at + TCP_FLAGS_OFFSET);
  return KEEP;
}
