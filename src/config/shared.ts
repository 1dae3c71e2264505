import type { z } from 'zod';
import { filePath, integer, object, oneOf, port, socketPath } from './fields.ts';

/** Parts that both roles have, in the file's spelling; `camel` is the spelling in code. */

export interface CouplingConfig {
  /** PEM files. Relative paths are taken from the folder of the configuration file. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly heartbeatMs: number;
  readonly deadAfterMs: number;
}

export const couplingSection = object({
  ca: filePath,
  certificate: filePath,
  key: filePath,
  heartbeat_ms: integer(50, 60_000, 'milliseconds').default(500),
  dead_after_ms: integer(100, 300_000, 'milliseconds').default(1500),
})
  .superRefine((coupling, context) => {
    if (coupling.dead_after_ms >= 2 * coupling.heartbeat_ms) return;
    context.addIssue({
      code: 'custom',
      path: ['dead_after_ms'],
      message: `expected at least twice heartbeat_ms, ${2 * coupling.heartbeat_ms}`,
    });
  })
  .transform(({ heartbeat_ms: heartbeatMs, dead_after_ms: deadAfterMs, ...files }): CouplingConfig => {
    return { ...files, heartbeatMs, deadAfterMs };
  });

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly format: 'text' | 'json';
  readonly file?: string | undefined;
}

export const logSection = object({
  level: oneOf('error', 'warn', 'info', 'debug').default('info'),
  format: oneOf('text', 'json').default('text'),
  file: filePath.optional(),
}).prefault({});

export interface AdminConfig {
  readonly socket: string;
}

export function adminSection(socket: string) {
  return object({ socket: socketPath.default(socket) }).prefault({});
}

export const clusterPorts = {
  /** TCP: coupling channel. */
  coupling_port: port.default(4754),
  /** UDP: trusted link. */
  link_port: port.default(4754),
};

/** MTU of the cluster network, in bytes; 1280 is what every IPv6 link has (RFC 8200 section 5). */
export const clusterMtu = integer(1280, 65_535, 'bytes').default(1500);

/** Reports every value that is in the list twice, at its second place. */
export function refuseRepeats<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  at: (index: number) => (string | number)[],
  context: z.core.$RefinementCtx,
): void {
  const seen = new Map<string, number>();
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else {
      const message = `is there already as number ${first}, expected each once`;
      context.addIssue({ code: 'custom', path: at(index), message });
    }
  }
}
