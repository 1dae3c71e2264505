import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { PathFit } from '../ipsec/path-fit.ts';
import type { OuterHeader } from './encapsulate.ts';
import type { OutboundEntry } from './outbound-sad.ts';

/** An outbound SA as both senders have it. */
export interface SendingSa extends OutboundEntry {
  /** Replaced as a whole when the peer's mapping moves. */
  outer: OuterHeader;
  /** The same; lowered by messages about the path. */
  fit: PathFit;
  readonly meter: LifesizeMeter;
}
