import { parseIpv4Address } from '../packet/address.ts';

/** Who speaks on the trusted link: peers by number and by address, which is a number too, so that no packet needs a text. */
export class LinkPeers {
  readonly #addressOf = new Map<number, number>();
  readonly #peerOf = new Map<number, number>();

  /** Undefined: closed. Throws if another peer has the address, or if it is none of IPv4. */
  set(peer: number, address: string | undefined): void {
    const before = this.#addressOf.get(peer);
    if (before !== undefined) this.#peerOf.delete(before);
    this.#addressOf.delete(peer);
    if (address === undefined) return;
    const number = parseIpv4Address(address);
    if (number === undefined) throw new Error(`no IPv4 address: ${address}`);
    if (this.#peerOf.has(number)) throw new Error(`two peers have the link address ${address}`);
    this.#addressOf.set(peer, number);
    this.#peerOf.set(number, peer);
  }

  has(peer: number): boolean {
    return this.#addressOf.has(peer);
  }

  addressOf(peer: number): number | undefined {
    return this.#addressOf.get(peer);
  }

  peerAt(address: number): number | undefined {
    return this.#peerOf.get(address);
  }
}
