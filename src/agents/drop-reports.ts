import { type Clock, every, type Timer } from '../base/clock.ts';
import type { DropCounters } from '../base/verdict.ts';
import { DropWatch } from '../observe/drop-watch.ts';
import type { Log } from '../observe/log.ts';

const LOOK_MS = 1000;

/** Says for which reasons packets begin to be dropped (`DropWatch`). */
export function reportDrops(clock: Clock, log: Log, drops: DropCounters): Timer {
  const watch = new DropWatch();
  return every(clock, LOOK_MS, () => {
    for (const { reason, count } of watch.look(drops.toJSON(), clock.now()))
      log.info('packets are dropped', { reason, count, event: 'drops' });
  });
}
