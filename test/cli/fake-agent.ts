import { runAgent } from '../../src/cli/agent-process.ts';
import { createLog } from '../../src/observe/log.ts';

/** A process around `runAgent` whose agent does what the first argument says. */
const behaviour = process.argv[2];

const log = createLog({ level: 'info', format: 'text', isJournal: true });
// Something open, as a real agent has sockets.
const open = setInterval(() => {}, 1000);

process.exitCode = await runAgent((agentLog) => {
  if (behaviour === 'fails-to-start') return Promise.reject(new Error('no TUN'));
  const finished = new Promise<void>((_, reject) => {
    if (behaviour?.startsWith('fails-later')) setImmediate(reject, new Error('charon is gone for good'));
  });
  // Nobody waits for this one.
  if (behaviour === 'rejects') setImmediate(() => void Promise.reject(new Error('nobody caught this')));
  if (behaviour === 'throws') {
    setImmediate(() => {
      throw new Error('thrown in a callback');
    });
  }
  agentLog.info('started');
  return Promise.resolve({
    finished,
    reload: () => Promise.resolve(agentLog.info('reloaded')),
    close: () => {
      if (behaviour?.endsWith('hangs')) return new Promise<void>(() => {});
      if (behaviour !== 'leaks') clearInterval(open);
      return Promise.resolve();
    },
  });
}, log);
