import { join } from 'node:path';
import { type HostKind, MAX_HOSTS } from './addresses.ts';
import { PROJECT_ROOT } from './program.ts';
import type { TemplateValues } from './scenario.ts';

export interface LabOptions {
  /** A folder of strongswan-conf/. Default `endpoint`. */
  readonly scenario?: string;
  /** Default 3. */
  readonly targets?: number;
  /** Default 1. */
  readonly clients?: number;
  /** Clients that are stock Linux kernels (User Mode Linux). Default 0. */
  readonly kernels?: number;
  /** The routing host has a Linux kernel of its own (User Mode Linux), with its own IPsec. Default false. */
  readonly routerIsGuest?: boolean;
  /** Where configuration, certificates, logs and captures go. Default $DVIPA_LAB_DIR, or out/lab. */
  readonly folder?: string;
  /** Start of every namespace's name; labs with different prefixes do not meet. Default $DVIPA_LAB_PREFIX, or `dvipa`. */
  readonly prefix?: string;
  /** Other values for the templates' {{names}}; see scenario.yaml. */
  readonly values?: TemplateValues;
  /** Datagrams that a sender hands over as one cross the networks as one: for coalesced input. Default false: wires. */
  readonly superPackets?: boolean;
  /** Start charon on the routing host and the clients. Default true. */
  readonly charons?: boolean;
  /** Start the routing agent and the target agents. Default true. */
  readonly agents?: boolean;
  /** What agents find in their environment besides ours. Default nothing. */
  readonly agentEnvironment?: Readonly<Record<string, string>>;
  /** Start an HTTP server on every target. Default true. */
  readonly servers?: boolean;
  /** Bring the clients' tunnels up, one after another. Default true. */
  readonly tunnels?: boolean;
  /** How long to wait for another lab that is in use. Default 30 minutes. */
  readonly lockTimeoutMs?: number;
  /** Told what is being done, a line at a time. */
  readonly progress?: (line: string) => void;
}

export type ResolvedLabOptions = Required<LabOptions>;

/** Fills in the defaults; throws on what cannot be. */
export function resolveLabOptions(options: LabOptions): ResolvedLabOptions {
  const resolved: ResolvedLabOptions = {
    scenario: 'endpoint',
    targets: 3,
    clients: 1,
    kernels: 0,
    routerIsGuest: false,
    folder: process.env['DVIPA_LAB_DIR'] ?? join(PROJECT_ROOT, 'out/lab'),
    prefix: defaultPrefix(),
    values: {},
    superPackets: false,
    charons: true,
    agents: true,
    agentEnvironment: {},
    servers: true,
    tunnels: true,
    lockTimeoutMs: 30 * 60_000,
    progress: () => {},
    ...options,
  };
  const counts: readonly [HostKind, number][] = [
    ['target', resolved.targets],
    ['client', resolved.clients],
    ['kernel', resolved.kernels],
  ];
  for (const [kind, count] of counts) {
    if (!Number.isInteger(count) || count < 0 || count > MAX_HOSTS[kind])
      throw new RangeError(`${kind}s: ${count}, expected 0 to ${MAX_HOSTS[kind]}`);
  }
  if (!/^[a-z][a-z0-9]{0,14}$/.test(resolved.prefix))
    throw new RangeError(`prefix: '${resolved.prefix}', expected letters and digits`);
  return resolved;
}

export function defaultPrefix(): string {
  return process.env['DVIPA_LAB_PREFIX'] ?? 'dvipa';
}

/** What the lab of a prefix knows about itself, and its lock. */
export function ledgerFolder(prefix: string): string {
  return `/run/${prefix}-lab`;
}
