import { askAgent } from '../../io/admin-client.ts';
import type { SaSnapshot, StatusSnapshot, TargetSnapshot } from '../../observe/snapshots.ts';
import type { RunningKind } from '../values.ts';

/** Whoever pressed TAB waits for it. */
const TIMEOUT_MS = 500;

/** A value and a word about it. */
export type RunningValue = readonly [value: string, description: string];

/** What there is of a kind, from the first of these sockets on which an agent answers; nothing if none does. */
export async function runningValues(kind: RunningKind, sockets: readonly string[]): Promise<RunningValue[]> {
  if (kind === 'lab-host') {
    const { labStatus } = await import('../../lab/attach.ts');
    return labStatus().hosts.map((host) => [host, 'host of the lab']);
  }
  for (const socket of sockets) {
    try {
      return await askFor(kind, (command) => askAgent(socket, command, { timeoutMs: TIMEOUT_MS }));
    } catch {
      // The next one may be there. A shell that completes has no place for an error.
    }
  }
  return [];
}

async function askFor(
  kind: Exclude<RunningKind, 'lab-host'>,
  ask: (command: string) => Promise<unknown>,
): Promise<RunningValue[]> {
  switch (kind) {
    case 'target':
      return ((await ask('targets')) as TargetSnapshot[]).map(({ host, state }) => [host, state]);
    case 'dvipa':
      return ((await ask('status')) as StatusSnapshot).dvipas.map(({ address, endpoints }) => [
        address,
        `at ${endpoints.join(', ')}`,
      ]);
    case 'spi':
      return ((await ask('sas')) as SaSnapshot[]).map(({ spi, direction, peer }) => [
        spi,
        `${direction}, ${peer}`,
      ]);
    case 'ike':
    case 'child': {
      const sas = (await ask('sas')) as SaSnapshot[];
      const names = sas.flatMap(({ ikeName, childName, peer }): RunningValue[] => {
        const name = kind === 'ike' ? ikeName : childName;
        return name === undefined ? [] : [[name, peer]];
      });
      return [...new Map(names)];
    }
  }
}
