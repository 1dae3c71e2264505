import { PathMtu } from './path-mtu.ts';

const DEFAULT_CAPACITY = 16_384;

/**
 * The path MTUs of one host, by outer addresses: a path is what it is for all SAs on it, and a rekey does not make it larger.
 * Bounded; the oldest path is forgotten first. An SA that holds a forgotten one goes on with it, apart from others.
 */
export class PathMtus {
  readonly #linkMtu: number;
  readonly #capacity: number;
  readonly #paths = new Map<string, PathMtu>();

  /** `linkMtu`: of the outside interface, where every path begins. */
  constructor(linkMtu: number, capacity = DEFAULT_CAPACITY) {
    this.#linkMtu = linkMtu;
    this.#capacity = capacity;
  }

  /** The path from one of our addresses to a peer's. */
  to(peer: string, from: string, family: 4 | 6): PathMtu {
    const key = `${from} ${peer}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    for (const oldest of this.#paths.keys()) {
      if (this.#paths.size < this.#capacity) break;
      this.#paths.delete(oldest);
    }
    const path = new PathMtu(family, this.#linkMtu);
    this.#paths.set(key, path);
    return path;
  }
}
