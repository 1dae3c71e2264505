import { closeSync, existsSync, openSync, rmSync } from 'node:fs';

/** A file whose being there is all that it says; empty, mode 0600. In /run it outlives the process and not the host's reboot. */
export class MarkFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  isSet(): boolean {
    return existsSync(this.#path);
  }

  /** Throws an error of the system if it cannot be made or removed. */
  set(isOn: boolean): void {
    if (isOn) closeSync(openSync(this.#path, 'a', 0o600));
    else rmSync(this.#path, { force: true });
  }
}
