import { readFile } from 'node:fs/promises';

/** Columns of the first row of /proc/stat (proc(5)) that are no work: idle, and waiting for a disk. */
const IDLE = 3;
const IOWAIT = 4;
/** Guests' time, which follows, is in the user's already. */
const COLUMNS = 8;

/**
 * Ticks that all processors of this machine spent on work, and in all, since it was started. `os.cpus()` leaves out the kernel's soft
 * interrupts, which is where a host that forwards packets works. Rejects if the kernel does not say.
 */
export async function cpuTimes(): Promise<{ busy: number; total: number }> {
  return parseCpuTimes(await readFile('/proc/stat', 'latin1'));
}

export function parseCpuTimes(stat: string): { busy: number; total: number } {
  const row = /^cpu +(\d{1,16}(?: \d{1,16}){7,})$/m.exec(stat)?.[1];
  if (row === undefined) throw new Error('/proc/stat has no times of the processors');
  const ticks = row.split(' ').slice(0, COLUMNS).map(Number);
  const total = ticks.reduce((sum, each) => sum + each, 0);
  return { busy: total - (ticks[IDLE] as number) - (ticks[IOWAIT] as number), total };
}
