import { readFileSync } from 'node:fs';
import { missingCapabilities } from '../io/capabilities.ts';

/** What this process lacks to run an agent, in one line; undefined if nothing. `status` is /proc/self/status. */
export function missingPrivileges(
  status: string = readFileSync('/proc/self/status', 'utf8'),
): string | undefined {
  const missing = missingCapabilities(status);
  return missing.length === 0 ? undefined : `needs root, or the capabilities ${missing.join(' and ')}`;
}
