const NOTHING: readonly never[] = [];

/** What a pure state machine wants done, in order; its caller takes the list after every input. */
export class Outbox<Action> {
  #actions: Action[] = [];

  push(action: Action): void {
    this.#actions.push(action);
  }

  /** The actions since the last call. Allocates nothing when there are none. */
  take(): readonly Action[] {
    if (this.#actions.length === 0) return NOTHING;
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }
}
