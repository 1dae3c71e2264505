import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host, LabProcess } from '../../../../src/lab/host.ts';
import { sourceLoader } from '../../../../src/lab/program.ts';
import { waitFor } from '../../../../src/lab/wait-for.ts';
import type { Answer, Faults, Job, ListedChild } from './worker-jobs.ts';

/** A worker in a peer's host, seen from the test. */
export class Worker {
  readonly #folder: string;
  readonly #process: LabProcess;
  #jobs = 0;

  private constructor(folder: string, running: LabProcess) {
    this.#folder = folder;
    this.#process = running;
  }

  /** `folder` is made; host and test must see it at the same place. */
  static async start(host: Host, folder: string): Promise<Worker> {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const program = fileURLToPath(new URL('./worker.ts', import.meta.url));
    const running = host.spawn('worker', [process.execPath, '--import', sourceLoader(), program, folder]);
    const isReady = () => {
      if (!running.isRunning() && running.pid > 0) throw new Error(`${host.name}: the worker ended`);
      return existsSync(running.logFile) && readFileSync(running.logFile, 'utf8').includes('ready');
    };
    await waitFor(`${host.name}: the worker is ready`, isReady, { timeoutMs: 180_000 });
    return new Worker(folder, running);
  }

  async faults(job: Exclude<Job, { kind: 'list' }>): Promise<Faults> {
    const answer = await this.#do(job);
    return 'faults' in answer ? answer.faults : [];
  }

  async list(): Promise<readonly ListedChild[]> {
    const answer = await this.#do({ kind: 'list' });
    return 'children' in answer ? answer.children : [];
  }

  async #do(job: Job): Promise<Answer> {
    const name = join(this.#folder, String((this.#jobs += 1)).padStart(5, '0'));
    writeFileSync(`${name}.next`, JSON.stringify(job));
    renameSync(`${name}.next`, `${name}.job`);
    const text = await waitFor(
      `answer to ${job.kind}`,
      () => {
        if (existsSync(`${name}.answer`)) return readFileSync(`${name}.answer`, 'utf8');
        if (!this.#process.isRunning()) return 'ended';
        return undefined;
      },
      { timeoutMs: 300_000, everyMs: 20 },
    );
    if (text === 'ended') throw new Error(`${this.#process.host}: the worker ended, see its log`);
    return JSON.parse(text) as Answer;
  }
}
