import { cpuTimes } from '../../../src/io/cpu-times.ts';

const TICKS_PER_SECOND = 100;

/** Begins; what it returns says how many seconds all processors of this machine have worked since. */
export async function machineCpu(): Promise<() => Promise<number>> {
  const before = await cpuTimes();
  return async () => ((await cpuTimes()).busy - before.busy) / TICKS_PER_SECOND;
}
