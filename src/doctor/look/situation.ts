import type { Config } from '../../config/index.ts';
import type { StatusSnapshot } from '../../observe/snapshots.ts';

/** What every look at this host begins with. */
export interface Situation {
  readonly file: string;
  readonly config: Config;
  /** Of the agent that answers on the configured socket; undefined: none does. */
  readonly status: StatusSnapshot | undefined;
  /** Why none does. */
  readonly absence: string;
}

/** Each once, in the order of the configuration. */
export function dvipasOf(config: Config): readonly string[] {
  return config.role === 'route' ? config.dvipas.map(({ address }) => address) : config.dvipas;
}

/** Of a routing host, DVIPAs that are their own endpoint among them. */
export function endpointsOf(config: Config): readonly string[] {
  return config.role === 'route' ? [...new Set(config.dvipas.flatMap(({ endpoints }) => endpoints))] : [];
}

/** An agent of this very configuration's role runs, so what it keeps in place must be there. */
export function isAgentRunning({ status, config }: Situation): boolean {
  return status !== undefined && status.role === config.role;
}

/** The words that start the agent. */
export function startLine({ config, file }: Situation): string {
  return `start the agent: dvipa ${config.role} -c ${file}`;
}
