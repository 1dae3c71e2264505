import { ConfigError, type Config, loadConfig } from '../config/index.ts';
import { AgentUnreachableError, askAgent } from '../io/admin-client.ts';
import type { StatusSnapshot } from '../observe/snapshots.ts';
import { CHECKS, type CheckId } from './checks.ts';
import { fail, type Finding, ok, skipped } from './finding.ts';
import { lookAtAddresses } from './look/addresses.ts';
import { lookAtAgent } from './look/agent.ts';
import { lookAtCertificates } from './look/certificates.ts';
import { lookAtCharon } from './look/charon.ts';
import { lookAtCluster } from './look/cluster.ts';
import { lookAtRules } from './look/guard.ts';
import { lookAtInterfaces } from './look/interfaces.ts';
import { lookAtKernel } from './look/kernel.ts';
import { lookAtMtu } from './look/mtu.ts';
import { reasonOf } from './look/outcome.ts';
import type { Situation } from './look/situation.ts';

/** Each with the check that says so if it fails as a whole. */
const LOOKS: readonly (readonly [CheckId, (situation: Situation) => Promise<Finding[]>])[] = [
  ['agent', lookAtAgent],
  ['capabilities', lookAtKernel],
  ['interface', lookAtInterfaces],
  ['cluster-address', lookAtAddresses],
  ['guard', lookAtRules],
  ['mtu-cluster', lookAtMtu],
  ['coupling', lookAtCluster],
  ['certificate-key', lookAtCertificates],
  ['charon', lookAtCharon],
];

/**
 * Looks at everything on this host that an agent with this configuration needs, in the order of `CHECKS`. Changes nothing. What cannot
 * be looked at is a finding of its own (`skipped`).
 */
export async function examine(file: string): Promise<Finding[]> {
  const loaded = load(file);
  if (!('config' in loaded)) return loaded.findings;
  const situation = { file, config: loaded.config, ...(await agentOf(loaded.config)) };
  const found = await Promise.all(
    LOOKS.map(([id, look]) =>
      look(situation).catch((error: unknown) => [skipped(id, `cannot be looked at: ${reasonOf(error)}`)]),
    ),
  );
  const order = Object.keys(CHECKS);
  return [...loaded.findings, ...found.flat()].toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}

/** A configuration that says nothing ends the examination; one whose files are missing does not. */
function load(file: string): { readonly findings: Finding[]; readonly config?: Config } {
  try {
    const config = loadConfig(file, { looksAtFiles: false });
    return { config, findings: [ok('configuration', `valid, of role ${config.role}`, file)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const found = error.problems.map(({ line, column, path, message }) =>
      fail(
        'configuration',
        `${path === '' ? '' : `${path}: `}${message}`,
        'correct it (docs/configuration.md)',
        line === 0 ? file : `${file}:${line}:${column}`,
      ),
    );
    return { findings: found };
  }
}

async function agentOf({ admin }: Config): Promise<Pick<Situation, 'status' | 'absence'>> {
  try {
    const status = (await askAgent(admin.socket, 'status', { timeoutMs: 3000 })) as StatusSnapshot;
    return { status, absence: '' };
  } catch (error) {
    const why = error instanceof AgentUnreachableError ? error.message : reasonOf(error);
    return { status: undefined, absence: `no agent answers: ${why.slice(why.indexOf(': ') + 2)}` };
  }
}
