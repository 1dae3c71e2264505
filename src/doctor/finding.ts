import type { CheckId } from './checks.ts';

export type FindingStatus = 'ok' | 'warn' | 'fail' | 'skipped';

/** What one check found. The form is stable (docs/cli-json.md). */
export interface Finding {
  readonly id: CheckId;
  readonly status: FindingStatus;
  /** What it is about, where a check is made for several: an address, an interface, a file, a host. */
  readonly about?: string;
  /** What is so; of `skipped`: why nothing was looked at. */
  readonly found: string;
  /** What to do or type, in one line; of `warn` and `fail`. */
  readonly remedy?: string;
}

export function ok(id: CheckId, found: string, about?: string): Finding {
  return finding('ok', id, found, undefined, about);
}

/** It works, and may not for long or not in every case. */
export function warn(id: CheckId, found: string, remedy: string, about?: string): Finding {
  return finding('warn', id, found, remedy, about);
}

/** Something does not work, or is not safe. */
export function fail(id: CheckId, found: string, remedy: string, about?: string): Finding {
  return finding('fail', id, found, remedy, about);
}

export function skipped(id: CheckId, why: string, about?: string): Finding {
  return finding('skipped', id, why, undefined, about);
}

function finding(
  status: FindingStatus,
  id: CheckId,
  found: string,
  remedy: string | undefined,
  about: string | undefined,
): Finding {
  return {
    id,
    status,
    ...(about !== undefined && { about }),
    found,
    ...(remedy !== undefined && { remedy }),
  };
}

/** How looking at something ended, where that is all there is to say. */
export type Outcome = { readonly isOk: true } | { readonly isOk: false; readonly reason: string };
