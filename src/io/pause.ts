import { packetIo } from './native.ts';

/** From this rate on, being woken for each packet costs more than handling it; slower traffic never waits. */
const BUSY_PACKETS_PER_MS = 32;
/** So many packets in one look have paid for it: the next one is at once. */
const ENOUGH_PACKETS = 32;

/**
 * While packets come fast and few at a time, this thread's event loop looks for them, and for all else, not oftener than each so many
 * microseconds (at most 1000); 0, as it begins: whenever there are some. For all sources that are watched, together.
 */
export function setPause(microseconds: number): void {
  packetIo().pauseSet(microseconds, BUSY_PACKETS_PER_MS, ENOUGH_PACKETS);
}
