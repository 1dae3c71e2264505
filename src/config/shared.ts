import { z } from 'zod';
import { filePath, hostName, integer, interfaceName, object, oneOf, port, socketPath } from './fields.ts';

/** Parts that both roles have, in the file's spelling; `camel` is the spelling in code. */

export function roleOf<const Role extends 'route' | 'target'>(role: Role) {
  return z.literal(role).meta({
    description: 'What this host is: route, a routing host, or target.',
    reload: 'restart',
    example: role,
  });
}

export function ownName(example: string) {
  return hostName.meta({
    description: 'Name of this host, as in its certificate.',
    reload: 'restart',
    example: example,
  });
}

export const outsideSection = object({
  interface: interfaceName.meta({
    description: 'The interface towards peers: encrypted packets come and go here.',
    example: 'eth0',
  }),
}).meta({ description: 'Network of the peers.', reload: 'restart' });

/** Interface on the cluster network. */
export const clusterInterface = interfaceName.meta({
  description: 'The interface on the cluster network.',
  example: 'eth1',
});

export const CLUSTER = {
  description: 'The network between routing host and targets. What crosses it is encrypted.',
  reload: 'restart',
} as const;

export interface CouplingConfig {
  /** PEM files. Relative paths are taken from the folder of the configuration file. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly heartbeatMs: number;
  readonly deadAfterMs: number;
}

export const couplingSection = object({
  ca: filePath.meta({
    description: 'Certificate of the authority that every host of the cluster is issued by (PEM).',
    example: '/etc/dvipa/pki/ca.pem',
  }),
  certificate: filePath.meta({
    description: 'Certificate of this host, with its name and role (PEM).',
    example: '/etc/dvipa/pki/this-host.pem',
  }),
  key: filePath.meta({
    description: 'Private key of this host (PEM). Others must not be able to read it: mode 0600.',
    example: '/etc/dvipa/pki/this-host.key',
  }),
  heartbeat_ms: integer(50, 60_000, 'milliseconds')
    .default(500)
    .meta({ description: 'How often hosts tell each other that they are alive.' }),
  dead_after_ms: integer(100, 300_000, 'milliseconds').default(1500).meta({
    description: 'How long a host may be silent before it counts as dead: at least twice heartbeat_ms.',
  }),
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
  })
  .meta({
    description:
      'The coupling channel: TLS 1.3 between routing host and targets, which carries SAs and state. ' +
      'Relative paths are taken from the folder of this file.',
    reload: 'hot',
  });

export interface LogConfig {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly format: 'text' | 'json';
  readonly file?: string | undefined;
}

export const logSection = object({
  level: oneOf('error', 'warn', 'info', 'debug')
    .default('info')
    .meta({ description: 'The least serious lines that are written.' }),
  format: oneOf('text', 'json')
    .default('text')
    .meta({ description: 'text is for people; json is one object a line.' }),
  file: filePath.optional().meta({
    description: 'File for the log, beside standard error.',
    absent: 'standard error only',
    example: '/var/log/dvipa.log',
  }),
})
  .prefault({})
  .meta({ description: 'The log. No key is ever in it.', reload: 'hot' });

export interface AdminConfig {
  readonly socket: string;
}

export function adminSection(socket: string) {
  const place = socketPath
    .default(socket)
    .meta({ description: 'Where `dvipa status` and the like find the agent.' });
  return object({ socket: place }).prefault({}).meta({ description: 'The admin socket.', reload: 'restart' });
}

export const clusterPorts = {
  coupling_port: port
    .default(4754)
    .meta({ description: 'TCP port of the coupling channel on the routing host; equal on all hosts.' }),
  link_port: port.default(4754).meta({ description: 'UDP port of the trusted link; equal on all hosts.' }),
};

/** 1280 is what every IPv6 link has (RFC 8200 section 5). */
export const clusterMtu = integer(1280, 65_535, 'bytes')
  .default(1500)
  .meta({ description: 'MTU of the cluster network.' });

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
