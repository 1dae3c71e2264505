/** A scheduled call. `cancel` twice is harmless. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as a parameter: pure parts take a `Clock` and never look at the machine's own.
 * `now` is monotonic milliseconds (not wall time), so it survives clock steps.
 */
export interface Clock {
  now(): number;
  /** Runs `action` once, `delayMs` from now. The timer does not keep the process alive. */
  after(delayMs: number, action: () => void): Timer;
}

/** The machine's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, action) {
    const handle = setTimeout(action, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Calls `action` every `periodMs` until cancelled. */
export function every(clock: Clock, periodMs: number, action: () => void): Timer {
  let stopped = false;
  let timer: Timer;
  const run = () => {
    if (stopped) return;
    timer = clock.after(periodMs, run);
    action();
  };
  timer = clock.after(periodMs, run);
  return {
    cancel() {
      stopped = true;
      timer.cancel();
    },
  };
}
