/**
 * charon waits at each outbound policy, for a while, until the targets go by it. Here is who has not said so yet, and which use of a
 * policy charon asked about last.
 */
export class PolicyBarriers {
  /** The plugin's id of each policy, by key. */
  readonly #ids = new Map<string, string>();
  /** Hosts that are waited for, by the policy's key. */
  readonly #waiting = new Map<string, Set<string>>();
  readonly #open: (id: string) => void;

  /** `open` ends charon's wait for the policy with that id of the plugin's. */
  constructor(open: (id: string) => void) {
    this.#open = open;
  }

  /** charon uses the policy as `id` from now on; nobody waits for an earlier use of it any more. */
  begin(key: string, id: string, hosts: readonly string[]): void {
    const earlier = this.#ids.get(key);
    if (earlier !== undefined && earlier !== id && this.#waiting.has(key)) this.#open(earlier);
    this.#ids.set(key, id);
    this.#waiting.set(key, new Set(hosts));
    if (hosts.length === 0) this.#end(key);
  }

  /** Nobody goes by that policy. */
  pass(id: string): void {
    this.#open(id);
  }

  /** A target goes by the policy. */
  served(key: string, host: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    waiting.delete(host);
    if (waiting.size === 0) this.#end(key);
  }

  removed(key: string): void {
    this.#ids.delete(key);
    this.#waiting.delete(key);
  }

  #end(key: string): void {
    this.#waiting.delete(key);
    const id = this.#ids.get(key);
    if (id !== undefined) this.#open(id);
  }
}
