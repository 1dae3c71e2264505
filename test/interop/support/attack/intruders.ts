import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestAuthority } from '../../../support/coupling-certificates.ts';
import type { Host } from '../../../../src/lab/host.ts';
import { type IntruderFiles, intrude } from '../coupling-intruder.ts';

const EVERY_MS = 500;

/** Connects to the coupling port from outside, over and over: without a certificate, and with one of a foreign authority. */
export class Intruders {
  readonly #done: Promise<number>;
  #isOver = false;

  constructor(from: Host, address: string) {
    this.#done = this.#run(from, { address, port: 4754 });
  }

  /** How many there were. */
  stop(): Promise<number> {
    this.#isOver = true;
    return this.#done;
  }

  async #run(from: Host, port: { readonly address: string; readonly port: number }): Promise<number> {
    const authority = await TestAuthority.create();
    try {
      await authority.issue('target', 'target3');
      const file = (name: string) => join(authority.folder, name);
      const foreign: IntruderFiles = {
        ca: file('ca.pem'),
        certificate: file('target3.pem'),
        key: file('target3.key'),
      };
      let count = 0;
      while (!this.#isOver) {
        await intrude(from, port, count % 2 === 0 ? undefined : foreign);
        count += 1;
        await sleep(EVERY_MS);
      }
      return count;
    } finally {
      authority.remove();
    }
  }
}
