import type { Log } from '../observe/log.ts';

/** Either guard, as far as this is concerned. */
export interface Guard {
  isInstalled(): Promise<boolean>;
  install(): Promise<void>;
}

/** What the kernel tells about changes of rules (`RuleChanges`). */
interface Changes {
  takeNews(): boolean;
}

/** The first look, and every so many, is a thorough one whatever the kernel tells. */
const THOROUGH_EVERY = 12;

/** Another program may flush our rules (a firewall that reloads): puts them back and says so. */
export class GuardKeeper {
  readonly #guard: Guard;
  readonly #changes: Changes | undefined;
  readonly #log: Log;
  #looks = 0;

  /** `changes` undefined: the kernel does not tell, so each look is a thorough one. */
  constructor(guard: Guard, changes: Changes | undefined, log: Log) {
    this.#guard = guard;
    this.#changes = changes;
    this.#log = log;
  }

  /** Call it every few seconds. Rejects if the guard cannot be looked at, or not be put back. */
  async look(): Promise<void> {
    // Asked first: what changes while we look is news for the next look.
    const isNews = this.#changes?.takeNews() ?? true;
    const isTurn = this.#looks++ % THOROUGH_EVERY === 0;
    if ((!isNews && !isTurn) || (await this.#guard.isInstalled())) return;
    this.#log.error('the guard rules were removed by another program, installing them again', {
      event: 'guard-repaired',
    });
    await this.#guard.install();
  }
}
