import { readFileSync } from 'node:fs';

/** For `NODE_OPTIONS`, which take no `--trace-gc` themselves: a line for each collection, with the heap before and after. */
export const TRACED =
  "--import=data:text/javascript,import{setFlagsFromString}from'node:v8';setFlagsFromString('--trace-gc')";

const COLLECTION =
  /^\[\d+:0x[0-9a-f]+\] +\d+ ms: ([A-Z][\w-]*)[^\n]*? (\d+\.\d+) \(\d+\.\d+\) -> (\d+\.\d+) \(\d+\.\d+\) MB, (?:pooled: [^,]*, )?(\d+\.\d+) \//gm;
const BYTES_PER_MB = 1024 * 1024;

/** What the collector of garbage did. */
export interface Garbage {
  readonly collections: number;
  /** In which the process did nothing else. */
  readonly ms: number;
  /** That were allocated: so many for each collection as there were, on average, since the one before. */
  readonly bytes: number;
}

/** Reads the log of a process that was started with `TRACED`; of all of it, or of what stands from this place on. */
export function readGarbage(log: string, from = 0): Garbage {
  const grown: number[] = [];
  let [collections, ms] = [0, 0];
  let left: number | undefined;
  for (const { index, 2: before, 3: after, 4: time } of log.matchAll(COLLECTION)) {
    const growth = Math.max(0, Number(before) - (left ?? Number(before)));
    const isFirst = left === undefined;
    left = Number(after);
    if (index < from) continue;
    if (!isFirst) grown.push(growth * BYTES_PER_MB);
    collections++;
    ms += Number(time);
  }
  const each = grown.length === 0 ? 0 : grown.reduce((sum, bytes) => sum + bytes, 0) / grown.length;
  return { collections, ms, bytes: collections * each };
}

/** The garbage of a process from now on, by its log file. */
export function watchGarbage(logFile: string): () => Garbage {
  const read = () => readFileSync(logFile, 'latin1');
  const from = read().length;
  return () => readGarbage(read(), from);
}
