import type { AdminAnswers, AdminCommand } from '../observe/admin-answers.ts';
import type { Host, LabProcess } from './host.ts';
import { dvipaCommand } from './program.ts';
import { waitFor } from './wait-for.ts';

/** Starts the agent that a host's name calls for, with this configuration file. */
export function startAgent(
  host: Host,
  configFile: string,
  env: Readonly<Record<string, string>> = {},
): LabProcess {
  const role = host.name.startsWith('router') ? 'route' : 'target';
  return host.spawn('agent', dvipaCommand(role, '-c', configFile), { env });
}

/** Asks an agent through its admin socket: `dvipa COMMAND --json` in the host. */
export async function askAgent<Command extends AdminCommand>(
  host: Host,
  command: Command,
): Promise<AdminAnswers[Command]> {
  return JSON.parse(await host.must(dvipaCommand(command, '--json'))) as AdminAnswers[Command];
}

/** Waits until the routing agent says that `count` targets are there and have the whole snapshot. */
export async function waitForTargets(router: Host, count: number, timeoutMs = 20_000): Promise<void> {
  const areUp = async () =>
    (await askAgent(router, 'targets')).filter(({ state }) => state === 'up').length >= count;
  await waitFor(`${count} targets serve`, areUp, { timeoutMs, everyMs: 200 });
}
