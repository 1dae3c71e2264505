import { availableParallelism } from 'node:os';
import type { FastPathConfig } from '../config/index.ts';
import { Crew } from '../io/crew.ts';
import type { Log } from '../observe/log.ts';
import type { CrewSnapshot } from '../observe/snapshots.ts';

/** More threads than that get less of a vector each than it costs to hand it to them (ADR 31). */
const AUTO_MAX = 4;

/** As many threads as `workers` asks for, if so many processors are there. */
export function workersFor(wanted: FastPathConfig['workers'], processors: number): number {
  // One is left to the kernel, which has the other half of the work, and to charon or the application.
  return wanted === 'auto' ? Math.min(Math.max(processors - 1, 1), AUTO_MAX) : wanted;
}

/**
 * The threads that work on packets, as configured; tells how many there are in one line. Where the kernel gives no more, goes on with those
 * that there are.
 */
export function openCrew(
  wanted: FastPathConfig['workers'],
  log: Log,
  { processors = availableParallelism(), open = (workers: number) => new Crew(workers) } = {},
): Crew {
  const asked = workersFor(wanted, processors);
  const crew = open(asked);
  const { workers, refusal: reason } = crew.stats();
  if (workers < asked) {
    log.warn('fewer threads work on packets: the kernel gives no more', { workers, asked, reason });
  } else log.info('threads that work on packets', { workers });
  return crew;
}

/** Of the admin socket's `status`. */
export function crewSnapshot(crew: Pick<Crew, 'stats'> | undefined): CrewSnapshot | undefined {
  if (crew === undefined) return undefined;
  const { workers, runs, stalls } = crew.stats();
  return { workers, runs, stalls };
}
