import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type ProcessRecord, processRecordSchema } from './process.ts';

const hostRecordSchema = z.object({
  name: z.string(),
  namespace: z.string(),
  /** Mounts of the host's own mount namespace: [what, over which path]. */
  mounts: z.array(z.tuple([z.string(), z.string()])),
  /** Set on a guest: the folder that it shares with this machine (see uml/mailbox.ts). */
  guest: z.string().optional(),
});

export type HostRecord = z.infer<typeof hostRecordSchema>;

const labRecordSchema = z.object({
  version: z.literal(1),
  scenario: z.string(),
  folder: z.string(),
  isUp: z.boolean(),
  namespaces: z.array(z.string()),
  hosts: z.array(hostRecordSchema),
  processes: z.array(processRecordSchema),
});

export type LabRecord = z.infer<typeof labRecordSchema>;

/**
 * What the lab has made on this machine, written before (namespaces) or at once after (processes) it is made, so that
 * a crash in between leaves nothing that the next `up` or `down` does not find. Lives under /run: gone after a reboot,
 * as are the things it names.
 */
export class Ledger {
  readonly #file: string;
  #record: LabRecord;

  private constructor(file: string, record: LabRecord) {
    this.#file = file;
    this.#record = record;
  }

  /** Starts a new ledger in `folder`, which must hold none of a running lab. */
  static create(folder: string, record: LabRecord): Ledger {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const ledger = new Ledger(fileIn(folder), record);
    ledger.#write();
    return ledger;
  }

  /** Reads what an earlier lab left; undefined if there is nothing, or nothing that can be read. */
  static read(folder: string): Ledger | undefined {
    try {
      return new Ledger(
        fileIn(folder),
        labRecordSchema.parse(JSON.parse(readFileSync(fileIn(folder), 'utf8'))),
      );
    } catch {
      return undefined;
    }
  }

  get record(): LabRecord {
    return this.#record;
  }

  update(change: Partial<LabRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#write();
  }

  addProcess(record: ProcessRecord): void {
    this.update({ processes: [...this.#record.processes, record] });
  }

  dropProcess(record: ProcessRecord): void {
    this.update({ processes: this.#record.processes.filter(({ pid }) => pid !== record.pid) });
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }

  #write(): void {
    // Renamed into place, so that a reader or a crash never meets half a file.
    const next = `${this.#file}.next`;
    writeFileSync(next, JSON.stringify(this.#record, undefined, 1), { mode: 0o600 });
    renameSync(next, this.#file);
  }
}

function fileIn(folder: string): string {
  return join(folder, 'lab.json');
}
