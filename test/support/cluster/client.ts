import { EspPeer, PeerWindow } from '../esp-peer.ts';
import { ACK, DVIPA, ENDPOINT, espInUdp, RST, SYN, tcp } from '../inner-packets.ts';
import { outerOf, type SaPair } from './charon.ts';

/** Stands in every inner packet; on a wire it would be plaintext. */
export const MARKER = 'PLAINTEXT';
const TCP_DATA_AT = 40;
const TCP_FLAGS_AT = 33;
const ESP_AT = 28;

export const dataOf = (inner: Buffer) => inner.subarray(TCP_DATA_AT).toString('latin1');

/** One of our outbound SAs, as the peer sees it. */
interface Receiving {
  readonly spi: number;
  readonly esp: EspPeer;
  readonly window: PeerWindow;
  /** Numbers and IVs that left our hosts: each once, whatever the wire does. */
  readonly numbers: Set<number>;
  readonly ivs: Set<string>;
}

/** A client behind a tunnel, on ESP of its own (`EspPeer`). It keeps book of what it sent and what it got. */
export class MemoryClient {
  readonly n: number;
  readonly #inner: string;
  readonly violations: string[] = [];
  /** Every packet sent, by its text. */
  readonly sent = new Set<string>();
  /** Answers, by the text of what they answer. */
  readonly answered = new Map<string, number>();
  /** Own ports of connections that were reset, once for each RST. */
  readonly resets: number[] = [];
  readonly #windowPackets: number;
  readonly #receiving: Receiving[] = [];
  #sending: EspPeer | undefined;
  #count = 0;
  #ports = 40_000;
  #from: { source: string; sourcePort: number };
  /** UDP port that the last datagram to this client had. */
  addressedTo = 0;

  constructor(n: number, windowPackets: number, inner: string) {
    this.n = n;
    this.#inner = inner;
    this.#windowPackets = windowPackets;
    this.#from = { source: outerOf(n), sourcePort: 4500 };
  }

  get isUp(): boolean {
    return this.#sending !== undefined;
  }

  /** The pair's SA towards the client works from now on; the client may send on the other one. */
  accept(pair: SaPair): void {
    this.#receiving.push({
      spi: pair.spiOut,
      esp: new EspPeer(pair.suite, pair.spiOut),
      window: new PeerWindow(this.#windowPackets),
      numbers: new Set(),
      ivs: new Set(),
    });
  }

  use(pair: SaPair): void {
    this.#sending = new EspPeer(pair.suite, pair.spiIn);
  }

  /** SPI that the client sends on. */
  get spi(): number | undefined {
    return this.#sending?.spi;
  }

  /** A new connection: its port, and the SYN. */
  open(): { readonly port: number; readonly text: string; readonly datagram: Buffer } {
    const port = this.#ports++;
    return { port, ...this.segment(port, SYN) };
  }

  /** The next segment of a connection. */
  segment(port: number, flags: number = ACK): { readonly text: string; readonly datagram: Buffer } {
    const text = `${MARKER}-c${this.n}-${this.#count++};`;
    this.sent.add(text);
    const inner = tcp({ source: this.#inner, destination: DVIPA, sourcePort: port, flags, data: text });
    if (this.#sending === undefined) throw new Error('the tunnel is not up');
    return {
      text,
      datagram: espInUdp(this.#sending.seal(inner), { ...this.#from, destination: ENDPOINT }),
    };
  }

  /** Its NAT has another mapping for it: it knows nothing of that. */
  moveTo(source: string, sourcePort: number): void {
    this.#from = { source, sourcePort };
  }

  /** A copy of what it sent, as if from elsewhere. */
  sentFrom(datagram: Buffer, source: string, sourcePort: number): Buffer {
    return espInUdp(datagram.subarray(ESP_AT), { source, sourcePort, destination: ENDPOINT });
  }

  /** A datagram leaves one of our hosts: numbers and IVs are used once, whoever sends. */
  leaves(datagram: Buffer): void {
    const sa = this.#saOf(datagram);
    const opened = sa?.esp.open(datagram.subarray(ESP_AT));
    if (sa === undefined || opened === undefined) {
      this.violations.push('a datagram that the client cannot open');
      return;
    }
    if (sa.numbers.has(opened.sequence)) this.violations.push(`number ${opened.sequence} was used twice`);
    if (sa.ivs.has(opened.iv)) this.violations.push(`IV ${opened.iv} was used twice`);
    sa.numbers.add(opened.sequence);
    sa.ivs.add(opened.iv);
  }

  /** The same datagram reaches the client. */
  receives(datagram: Buffer): void {
    this.addressedTo = datagram.readUInt16BE(22);
    const sa = this.#saOf(datagram);
    const opened = sa?.esp.open(datagram.subarray(ESP_AT));
    if (sa === undefined || opened === undefined) return;
    if (!sa.window.accept(opened.sequence)) {
      this.violations.push(`the client's window refused number ${opened.sequence}`);
      return;
    }
    if ((opened.inner.readUInt8(TCP_FLAGS_AT) & RST) !== 0) this.resets.push(opened.inner.readUInt16BE(22));
    const text = dataOf(opened.inner);
    if (text === '') return;
    if (!this.sent.has(text)) this.violations.push(`an answer to nothing: ${text}`);
    this.answered.set(text, (this.answered.get(text) ?? 0) + 1);
  }

  #saOf(datagram: Buffer): Receiving | undefined {
    return this.#receiving.find(({ spi }) => spi === datagram.readUInt32BE(ESP_AT));
  }
}
