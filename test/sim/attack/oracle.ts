/** One genuine packet, as its sender knows it. */
export interface Genuine {
  readonly id: number;
  readonly sa: number;
  readonly number: bigint;
  readonly port: number;
  readonly opens: boolean;
  readonly inner: Buffer;
}

/**
 * What must be true, known from the peers and the applications alone: it shares no code with what is tested. Everything that
 * somebody delivers or believes is told to it.
 */
export class Oracle {
  readonly violations: string[] = [];
  readonly #genuine = new Map<number, Genuine>();
  readonly #delivered = new Map<number, number>();
  /** Highest number that each SA's peer has used. */
  readonly #top = new Map<number, bigint>();
  /** `address:port` where each SA's peer has been. */
  readonly #places = new Map<number, Set<string>>();
  /** Ports of each SA that its peer has opened, as far as an application heard of it. */
  readonly #openedPorts = new Map<number, Set<number>>();

  sent(packet: Genuine): void {
    this.#genuine.set(packet.id, packet);
    const top = this.#top.get(packet.sa) ?? 0n;
    if (packet.number > top) this.#top.set(packet.sa, packet.number);
  }

  peerAt(sa: number, place: string): void {
    const places = this.#places.get(sa) ?? new Set();
    this.#places.set(sa, places.add(place));
  }

  /** An application got an inner packet. */
  delivered(inner: Buffer, id: number): void {
    const genuine = this.#genuine.get(id);
    if (genuine === undefined || !genuine.inner.equals(inner)) {
      this.#violated(`delivered what nobody sent: ${inner.toString('hex')}`);
      return;
    }
    const times = (this.#delivered.get(id) ?? 0) + 1;
    this.#delivered.set(id, times);
    if (times > 1) this.#violated(`packet ${id}, number ${genuine.number}, delivered ${times} times`);
    if (genuine.opens) {
      const ports = this.#openedPorts.get(genuine.sa) ?? new Set();
      this.#openedPorts.set(genuine.sa, ports.add(genuine.port));
    }
  }

  /** A window has come so far. */
  windowAt(sa: number, top: bigint, where: string): void {
    const most = this.#top.get(sa) ?? 0n;
    if (top > most) this.#violated(`${where} has a window at ${top}, the peer sent ${most}`);
  }

  confirmed(sa: number, port: number): void {
    if (this.#openedPorts.get(sa)?.has(port) !== true)
      this.#violated(`a confirmed entry for port ${port} of SA ${sa}, which its peer did not open`);
  }

  moved(sa: number, place: string): void {
    if (this.#places.get(sa)?.has(place) !== true)
      this.#violated(`SA ${sa} moved to ${place}, its peer was never there`);
  }

  /** Packets that all hosts together count as used. */
  lifesize(sa: number, packets: number): void {
    const sent = [...this.#genuine.values()].filter((packet) => packet.sa === sa).length;
    if (packets > sent) this.#violated(`SA ${sa}: ${packets} packets counted, ${sent} sent`);
  }

  tentative(count: number, most: number): void {
    if (count > most) this.#violated(`${count} tentative entries, ${most} allowed`);
  }

  isDelivered(id: number): boolean {
    return this.#delivered.has(id);
  }

  get sentCount(): number {
    return this.#genuine.size;
  }

  get deliveredCount(): number {
    return this.#delivered.size;
  }

  /** Genuine packets that no application got. */
  get lost(): readonly Genuine[] {
    return [...this.#genuine.values()].filter(({ id }) => !this.#delivered.has(id));
  }

  #violated(what: string): void {
    this.violations.push(what);
  }
}
