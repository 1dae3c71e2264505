import type { Outcome } from '../finding.ts';

/** Tries something whose only result is whether it works. */
export async function outcomeOf(attempt: () => unknown): Promise<Outcome> {
  try {
    await attempt();
    return { isOk: true };
  } catch (error) {
    return { isOk: false, reason: reasonOf(error) };
  }
}

/** An error in one line. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;
}
