import type { Host, LabProcess } from './host.ts';
import { CommandError } from './run.ts';
import { waitFor } from './wait-for.ts';

const CHARON = ['/usr/sbin/charon-systemd'];

/** Starts charon in a host and loads its swanctl.conf; resolves when connections and certificates are loaded. */
export async function startCharon(host: Host, argv: readonly string[] = CHARON): Promise<LabProcess> {
  const charon = host.spawn('charon', argv);
  await waitFor(`${host.name}: charon answers on its VICI socket`, async () => {
    if (!charon.isRunning()) return 'ended' as const;
    return (await host.exec(['swanctl', '--stats'])).status === 0;
  });
  if (!charon.isRunning()) throw new Error(`${host.name}: charon ended at once, see ${charon.logFile}`);
  await loadSwanctl(host);
  return charon;
}

/** Loads (again) credentials and connections of a host; throws if any of them is refused. */
export async function loadSwanctl(host: Host): Promise<void> {
  const argv = ['swanctl', '--load-all', '--noprompt'];
  const result = await host.exec(argv);
  // swanctl exits 0 even if a connection was refused.
  const isLoaded =
    result.status === 0 && !/loading .* failed|0 connections/i.test(result.stdout + result.stderr);
  if (!isLoaded) throw new CommandError(argv, { ...result, stderr: result.stderr + result.stdout });
}

/**
 * Initiates the lab's CHILD_SA `web` from a client and waits until it is installed. Clients are initiated one after
 * another: many blocking initiations at once use up charon's workers.
 */
export async function initiate(client: Host, timeoutSeconds = 15): Promise<void> {
  await client.must(['swanctl', '--initiate', '--child', 'web', '--timeout', String(timeoutSeconds)]);
}

/** Takes a client's IKE_SA down, if it is up. */
export async function terminate(client: Host): Promise<void> {
  await client.exec(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '5']);
}
