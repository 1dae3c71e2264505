import { PathFit, type PathLimits } from './path-fit.ts';
import { type EspShape, PathMtu } from './path-mtu.ts';

const DEFAULT_CAPACITY = 16_384;

/** With what was worked out for it last: SAs of one peer have one shape, mostly. */
class KnownPath extends PathMtu {
  fit: PathFit | undefined;
}

/**
 * The path MTUs of one host, by outer addresses: a path is what it is for all SAs on it, so a rekey, or a snapshot that names an SA again, does
 * not make it wider. Bounded; the oldest path is forgotten first, and SAs that have it go on with it.
 */
export class PathMtus {
  readonly limits: PathLimits;
  readonly #capacity: number;
  readonly #paths = new Map<string, KnownPath>();

  constructor(limits: PathLimits, capacity = DEFAULT_CAPACITY) {
    this.limits = limits;
    this.#capacity = capacity;
  }

  /** How much fits into packets of this shape on that path: the same for both SAs of a CHILD_SA, and for its successors. */
  fitOf(shape: EspShape, peer: string, ours: string): PathFit {
    const path = this.#path(peer, ours, shape.outerFamily);
    if (path.fit?.isFor(shape) !== true) path.fit = new PathFit(shape, path, this.limits);
    return path.fit;
  }

  /** The path from one of our addresses to a peer's, both as text. */
  to(peer: string, ours: string, family: 4 | 6): PathMtu {
    return this.#path(peer, ours, family);
  }

  #path(peer: string, ours: string, family: 4 | 6): KnownPath {
    const key = [ours, peer].join(' '); // one text, where a template would leave the tree that it was made of
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    for (const oldest of this.#paths.keys()) {
      if (this.#paths.size < this.#capacity) break;
      this.#paths.delete(oldest);
    }
    const path = new KnownPath(family, this.limits.outside);
    this.#paths.set(key, path);
    return path;
  }
}
