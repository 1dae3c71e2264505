import { type Config, type ConfigChange, configChanges, ConfigError } from '../config/index.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import type { Log } from '../observe/log.ts';
import type { ReloadSnapshot } from '../observe/snapshots.ts';

/** The admin command's name. */
export const RELOAD = 'reload';

/** How an agent of either role reloads: its file and its log belong to the process, everything else to the agent. */
export interface ReloadSource<C extends Config> {
  /** The configuration that the agent was started with. */
  readonly file: string;
  /** Reads the file again, and looks at what it names. Throws `ConfigError`. */
  readonly load: () => Config;
  readonly setLog: (log: C['log']) => void;
}

/** The running part of a role. */
export interface Reloadable<C extends Config> {
  /**
   * Asks whatever can say no. `refused`: why the configuration cannot be had now; `changes`: differences that the files show and the
   * configuration does not. Changes nothing that anybody would notice; with `isDryRun` nothing at all.
   */
  check(after: C, isDryRun: boolean): Promise<Checked>;
  /** Goes by it from now on; called after `check` of the same one found nothing. Rejects if it could not, and is as it was. */
  apply(after: C): Promise<void>;
}

export interface Checked {
  readonly refused: readonly string[];
  readonly changes?: readonly ConfigChange[];
  /** What an operator should know of it. */
  readonly warnings?: readonly string[];
}

export interface ReloaderOptions<C extends Config> {
  readonly source: ReloadSource<C>;
  readonly current: C;
  readonly running: Reloadable<C>;
  readonly log: Log;
}

/**
 * Reloads the configuration as a whole or not at all (ADR 25): a file that is wrong, that needs a restart, or that the running agent
 * cannot take is refused, and everything stays as it is. So what runs is always what one file says.
 */
export class Reloader<C extends Config> {
  readonly #options: ReloaderOptions<C>;
  #current: C;
  /** One after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ReloaderOptions<C>) {
    this.#options = options;
    this.#current = options.current;
  }

  /** What the agent goes by. */
  get current(): C {
    return this.#current;
  }

  /** Rejects with an Error that names what is refused, a line each: of a wrong file with its places. */
  run(isDryRun: boolean): Promise<ReloadSnapshot> {
    const mine = this.#last.then(() => this.#run(isDryRun));
    this.#last = mine.catch(() => {});
    return mine;
  }

  async #run(isDryRun: boolean): Promise<ReloadSnapshot> {
    const { source, running, log } = this.#options;
    try {
      const after = this.#load();
      const changes = configChanges(this.#current, after);
      refuse(changes.filter(({ effect }) => effect === 'restart').map(restartText));
      const checked = await running.check(after as C, isDryRun); // of the same role, or it was refused
      refuse(checked.refused);
      const answer = {
        file: source.file,
        changes: [...changes, ...(checked.changes ?? [])],
        warnings: checked.warnings ?? [],
      };
      if (isDryRun) return { ...answer, isApplied: false };
      await running.apply(after as C);
      source.setLog(after.log);
      this.#current = after as C;
      log.info('configuration reloaded', {
        path: source.file,
        count: answer.changes.length,
        event: 'reloaded',
      });
      for (const warning of answer.warnings)
        log.warn('configuration reloaded', { error: new Error(warning) });
      return { ...answer, isApplied: true };
    } catch (error) {
      if (!isDryRun) {
        const lines = (error instanceof Error ? error.message : String(error)).split('\n');
        log.error('configuration not reloaded', {
          path: source.file,
          error: new Error(lines.join('; ')),
          event: 'reload-refused',
        });
      }
      throw error;
    }
  }

  #load(): Config {
    try {
      return this.#options.source.load();
    } catch (error) {
      if (error instanceof ConfigError) refuse(error.message.split('\n'));
      throw error;
    }
  }
}

/** What the admin socket answers to `reload`. */
export function reloadCommand<C extends Config>(
  reloader: Reloader<C>,
): (args: AdminArguments) => Promise<ReloadSnapshot> {
  return async ({ dryRun = false, ...others }) => {
    const unknown = Object.keys(others);
    if (typeof dryRun !== 'boolean' || unknown.length > 0)
      throw new Error(`not the arguments of ${RELOAD}, expected { dryRun: true or false }`);
    return reloader.run(dryRun);
  };
}

/** Throws an Error that names the reasons, a line each, if there are any. */
export function refuse(reasons: readonly string[]): void {
  if (reasons.length > 0) throw new Error(['not reloaded, nothing has changed', ...reasons].join('\n'));
}

function restartText({ path, from, to }: ConfigChange): string {
  return `${path}: ${shown(from)} to ${shown(to)} needs a restart of the agent`;
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value);
}
