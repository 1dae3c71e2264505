import { notifyReady } from '../io/service-notify.ts';
import type { RunningAgent } from '../agents/running-agent.ts';
import type { ClosableLog, Log } from '../observe/log.ts';
import { EXIT } from './exit.ts';

/** How long the last log lines may take when the process has to go. */
const FLUSH_MS = 1000;
/** A handle that somebody forgot must not turn a clean stop into a hang. */
const LINGER_MS = 2000;

/**
 * Runs an agent until SIGTERM or SIGINT (closes it, exit 0; a second signal ends the process at once) or until it
 * fails (exit 1). SIGHUP reloads its configuration. When the agent has started, systemd is told, if it wants to know. The host's
 * guard outlives the process either way, so nothing leaves in clear.
 */
export async function runAgent(
  start: (log: Log) => Promise<RunningAgent>,
  log: ClosableLog,
): Promise<number> {
  const stop = signalOnce(log);
  const fault = firstFault();
  let hangUp = () => log.warn('not reloaded, the agent is starting');
  process.on('SIGHUP', (signal) => {
    log.info('signal', { signal });
    hangUp();
  });
  try {
    const agent = await Promise.race([start(log), fault]);
    hangUp = () => void agent.reload();
    notifyReady(process.env).catch((error: unknown) => log.warn('systemd was not told', { error }));
    const isStopped = await Promise.race([stop.then(() => true), finishOf(agent), fault]);
    if (isStopped) {
      log.info('stopping');
      await Promise.race([agent.close(), fault]);
      log.info('stopped');
    }
    await flush(log);
    endSoon();
    return EXIT.OK;
  } catch (error) {
    log.error('agent failed', { error });
    await flush(log);
    // Whatever it left open must not keep a half-dead agent alive.
    process.exit(EXIT.ERROR);
  }
}

/** An agent that cannot go on is closed, so that the others notice at once; not longer than a stop may take. */
async function finishOf(agent: RunningAgent): Promise<false> {
  try {
    await agent.finished;
    return false;
  } catch (error) {
    await within(LINGER_MS, agent.close()).catch(() => {});
    throw error;
  }
}

/** Resolves at the first SIGTERM or SIGINT. The second exits. */
function signalOnce(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      if (++count > 1) process.exit(EXIT.ERROR);
      log.info('signal', { signal });
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** Rejects with the first error that nobody handled: the state behind it cannot be trusted. */
function firstFault(): Promise<never> {
  const fault = new Promise<never>((_, reject) => {
    process.on('unhandledRejection', reject);
    process.on('uncaughtException', reject);
  });
  fault.catch(() => {});
  return fault;
}

/** The process ends by itself if nothing is left open; if something is, it ends all the same. */
function endSoon(): void {
  setTimeout(() => process.exit(EXIT.OK), LINGER_MS).unref();
}

async function flush(log: ClosableLog): Promise<void> {
  await within(FLUSH_MS, log.close());
}

/** Waits for `work`, but not longer than `limitMs`; keeps the process alive until then. */
async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
