const NOTHING: readonly never[] = [];

/** What a pure state machine wants done, in order; its caller takes the list after every input. */
export class Outbox<Action> {
  /** Thousands of machines want nothing: they have no list. */
  #actions: Action[] | undefined;

  push(action: Action): void {
    if (this.#actions === undefined) this.#actions = [action];
    else this.#actions.push(action);
  }

  /** The actions since the last call. Allocates nothing when there are none. */
  take(): readonly Action[] {
    const actions = this.#actions ?? NOTHING;
    this.#actions = undefined;
    return actions;
  }
}
