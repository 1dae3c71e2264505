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
  /**
   * Set on a process that leads a group of its own whose members end with it: the name of the program that they all
   * are. The helpers of a guest's kernel outlive it otherwise.
   */
  group: z.string().optional(),
});

export type ProcessRecord = z.infer<typeof processRecordSchema>;

interface ProcessStat {
  readonly command: string;
  readonly state: string;
  readonly group: number;
  readonly startTime: string;
}

/** What the kernel says about a process; undefined if there is none. */
function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command, in brackets, may hold spaces and brackets itself: count from its end (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  if (state === undefined || startTime === undefined) return undefined;
  const command = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  return { command, state, group: Number(fields[2]), startTime };
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
  if (record.group !== undefined) return signalAll(membersOf(record), signal);
  return signalAll([record.pid], signal);
}

/** Ends a process: SIGTERM, and SIGKILL if it is still there after `graceMs`. Resolves when it is gone. */
export async function endProcess(record: ProcessRecord, graceMs = 4_000): Promise<void> {
  if (record.group !== undefined) return endGroup(record);
  if (!signalProcess(record, 'SIGTERM')) return;
  const isGone = () => !isRunning(record);
  try {
    await waitFor(`end of ${record.name}`, isGone, { timeoutMs: graceMs });
  } catch {
    signalProcess(record, 'SIGKILL');
    await waitFor(`end of ${record.name} after SIGKILL`, isGone);
  }
}

/** Nothing in a group of this kind is worth a grace. Its members may be left without their leader. */
async function endGroup(record: ProcessRecord): Promise<void> {
  await waitFor(`end of ${record.name}`, () => {
    const members = membersOf(record);
    signalAll(members, 'SIGKILL');
    return members.length === 0;
  });
}

/** Living processes of the group that the recorded one leads, or led. */
function membersOf({ pid, startTime, group }: ProcessRecord): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((member) => {
    const stat = readStat(member);
    if (stat === undefined || ['Z', 'X'].includes(stat.state)) return false;
    // Between its start and its becoming that program the leader has other names.
    const isLeader = member === pid && stat.startTime === startTime;
    return isLeader || (stat.group === pid && stat.command === group);
  });
}

/** False if none of them was there any more. */
function signalAll(pids: readonly number[], signal: NodeJS.Signals): boolean {
  let isAny = false;
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
      isAny = true;
    } catch {
      // Gone already.
    }
  }
  return isAny;
}
