import { type EspShape, innerMss, innerMtu, largestInnerBytes, type PathMtu } from './path-mtu.ts';

/**
 * What a dispatch puts around an outer packet on the cluster network: IPv4, UDP, GRE with key and sequence number; the high half of
 * an extended number. Little enough to leave room for it always.
 */
const DISPATCH_BYTES = 20 + 8 + 12 + 4;

/** MTUs of the links that an SA's packets cross on our side, in bytes of whole IP packets. */
export interface PathLimits {
  /** Towards the peer. */
  readonly outside: number;
  /** Between the hosts of the cluster. */
  readonly cluster: number;
}

/**
 * How much fits into the packets of one SA now: what its shape and the path MTU to its peer say, worked out once and read per
 * packet, after `refresh`. Made anew when the SA's outer header changes: another place is another path.
 */
export class PathFit {
  readonly #shape: EspShape;
  /** Other SAs to the same place have it as well. */
  readonly path: PathMtu;
  readonly #mssMtu: number;
  /** The longest outer packet that goes out in one piece. */
  outerMtu = 0;
  /** The longest inner packet that fits into one; below, for IPv6, the MTU that its users are told. */
  innerBytes = 0;
  innerMtu6 = 0;
  /** What TCP through the SA may send per segment; so that dispatches fit the cluster network as well. */
  mss4 = 0;
  mss6 = 0;

  constructor(shape: EspShape, path: PathMtu, limits: PathLimits) {
    this.#shape = shape;
    this.path = path;
    this.#mssMtu = limits.cluster - DISPATCH_BYTES;
    this.#workOut(limits.outside);
  }

  isFor({ suite, mode, outerFamily, hasUdpEncapsulation }: EspShape): boolean {
    const shape = this.#shape;
    return (
      suite === shape.suite &&
      mode === shape.mode &&
      outerFamily === shape.outerFamily &&
      hasUdpEncapsulation === shape.hasUdpEncapsulation
    );
  }

  /** The path may have been lowered for another SA, or be believed no longer. Costs two comparisons. */
  refresh(now: number): void {
    const mtu = this.path.current(now);
    if (mtu !== this.outerMtu) this.#workOut(mtu);
  }

  /** A believed "too big" message; as `PathMtu.lower`. */
  lower(mtu: number, quotedBytes: number, now: number): boolean {
    const isLower = this.path.lower(mtu, quotedBytes, now);
    if (isLower) this.refresh(now);
    return isLower;
  }

  #workOut(mtu: number): void {
    const mssMtu = Math.min(mtu, this.#mssMtu);
    this.outerMtu = mtu;
    this.innerBytes = largestInnerBytes(this.#shape, mtu);
    this.innerMtu6 = innerMtu(this.#shape, mtu, 6);
    this.mss4 = innerMss(this.#shape, mssMtu, 4);
    this.mss6 = innerMss(this.#shape, mssMtu, 6);
  }
}
