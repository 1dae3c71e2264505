import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, EXIT } from './exit.ts';

const LOOK_MS = 500;

/** `--wait` of a command: true without a number of seconds, for as long as it takes. */
export type WaitOption = true | number;

/** Asks until no connection is left. Throws a `CommandError` (`TIME_OUT`) if there are some when the time is over. */
export async function waitUntilIdle(wait: WaitOption, left: () => Promise<number>): Promise<void> {
  const endsAt = wait === true ? Number.POSITIVE_INFINITY : performance.now() + wait * 1000;
  for (;;) {
    const connections = await left();
    if (connections === 0) return;
    const restMs = endsAt - performance.now();
    if (restMs <= 0) throw new CommandError(`${connections} connections are left`, EXIT.TIME_OUT);
    await sleep(Math.min(LOOK_MS, restMs));
  }
}
