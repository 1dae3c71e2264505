/**
 * What was sent and is not acknowledged yet. Acknowledgements are cumulative; waiting is for one number
 * and everything before it.
 */
export class AckLedger {
  #sent = 0;
  #acknowledged = 0;
  /** Numbers and frame lengths of the counted records, ascending; those before `#head` are acknowledged. */
  #pending: { readonly n: number; readonly bytes: number }[] = [];
  #head = 0;
  #pendingBytes = 0;
  #closed = false;
  #waiters: { readonly n: number; readonly resolve: (acknowledged: boolean) => void }[] = [];

  get sent(): number {
    return this.#sent;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get pendingRecords(): number {
    return this.#pending.length - this.#head;
  }

  /** The number of the next record. */
  next(): number {
    return this.#sent + 1;
  }

  /** Heartbeats and bare acknowledgements are not counted: the peer need not acknowledge them. */
  add(bytes: number, isCounted: boolean): void {
    this.#sent++;
    if (!isCounted) return;
    this.#pending.push({ n: this.#sent, bytes });
    this.#pendingBytes += bytes;
  }

  /** False if the peer acknowledges what was not sent, or takes an acknowledgement back. */
  acknowledge(n: number): boolean {
    if (n < this.#acknowledged || n > this.#sent) return false;
    if (n === this.#acknowledged) return true;
    this.#acknowledged = n;
    for (let entry = this.#pending[this.#head]; entry !== undefined && entry.n <= n; ) {
      this.#pendingBytes -= entry.bytes;
      entry = this.#pending[++this.#head];
    }
    if (this.#head > 1024 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    this.#settle((waiter) => waiter.n <= n, true);
    return true;
  }

  /** Never rejects: false when the session ends first. */
  whenAcknowledged(n: number): Promise<boolean> {
    if (n < 1 || n > this.#sent) return Promise.resolve(false);
    if (n <= this.#acknowledged) return Promise.resolve(true);
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => this.#waiters.push({ n, resolve }));
  }

  close(): void {
    this.#closed = true;
    this.#settle(() => true, false);
  }

  #settle(isDone: (waiter: { n: number }) => boolean, acknowledged: boolean): void {
    if (this.#waiters.length === 0) return;
    const done = this.#waiters.filter(isDone);
    this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter));
    for (const { resolve } of done) resolve(acknowledged);
  }
}
