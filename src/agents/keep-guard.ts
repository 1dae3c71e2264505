import type { Log } from '../observe/log.ts';

/** Either guard, as far as this is concerned. */
interface Guard {
  isInstalled(): Promise<boolean>;
  install(): Promise<void>;
}

/** Another program may have flushed our rules (a firewall that reloads): puts them back and says so. */
export async function keepGuard(guard: Guard, log: Log): Promise<void> {
  if (await guard.isInstalled()) return;
  log.error('the guard rules were removed by another program, installing them again', {
    event: 'guard-repaired',
  });
  await guard.install();
}
