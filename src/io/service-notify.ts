import { runCommand } from './run-command.ts';

/**
 * Tells systemd that this service is ready (sd_notify(3)), where systemd waits for that; nothing elsewhere. It is said by
 * systemd-notify, for Node.js has no datagram sockets of AF_UNIX: the unit needs `NotifyAccess=all`. Rejects if that fails.
 */
export async function notifyReady(environment: NodeJS.ProcessEnv): Promise<void> {
  if ((environment['NOTIFY_SOCKET'] ?? '') === '') return;
  await runCommand('systemd-notify', ['--ready']);
}
