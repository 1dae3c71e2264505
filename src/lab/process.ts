import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { waitFor } from './wait-for.ts';

/**
 * A process that the lab started, so named that it can be recognised later: a process id alone is reused by the
 * system, together with the start time it is not.
 */
export const processRecordSchema = z.object({
  host: z.string(),
  name: z.string(),
  pid: z.number().int().positive(),
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  startTime: z.string(),
});

export type ProcessRecord = z.infer<typeof processRecordSchema>;

/** State letter and start time of a process; undefined if there is none. */
function readStat(pid: number): { state: string; startTime: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command, in brackets, may hold spaces and brackets itself: count from its end (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === undefined || startTime === undefined ? undefined : { state, startTime };
}

/** The start time of a running process; undefined once it is gone or only a zombie. */
export function startTimeOf(pid: number): string | undefined {
  const stat = readStat(pid);
  if (stat === undefined) return undefined;
  const isDead = stat.state === 'X' || (stat.state === 'Z' && !hasOtherThreads(pid));
  return isDead ? undefined : stat.startTime;
}

/** The first thread of a killed process may be a zombie while others still hold its sockets. */
function hasOtherThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

/** True while the very process that was recorded still runs. */
export function isRunning(record: ProcessRecord): boolean {
  return startTimeOf(record.pid) === record.startTime;
}

/** Signals the recorded process, never another that got its number. Returns false if it is gone. */
export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): boolean {
  if (!isRunning(record)) return false;
  try {
    process.kill(record.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Ends a process: SIGTERM, and SIGKILL if it is still there after `graceMs`. Resolves when it is gone. */
export async function endProcess(record: ProcessRecord, graceMs = 4_000): Promise<void> {
  if (!signalProcess(record, 'SIGTERM')) return;
  const isGone = () => !isRunning(record);
  try {
    await waitFor(`end of ${record.name}`, isGone, { timeoutMs: graceMs });
  } catch {
    signalProcess(record, 'SIGKILL');
    await waitFor(`end of ${record.name} after SIGKILL`, isGone);
  }
}
