import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes an exclusive lock on `file` that the kernel gives back when this process ends, however it ends: flock(1) holds
 * it in a child that lives as long as the pipe to it. `onWait` is called once if somebody else holds the lock; throws
 * after `timeoutMs`.
 */
export async function takeLock(file: string, timeoutMs: number, onWait: () => void): Promise<Lock> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const first = await tryLock(file, 0);
  if (first !== undefined) return first;
  onWait();
  const second = await tryLock(file, Math.ceil(timeoutMs / 1000));
  if (second !== undefined) return second;
  throw new Error(`${file} is held by another lab, not released within ${timeoutMs} ms`);
}

function tryLock(file: string, seconds: number): Promise<Lock | undefined> {
  const child = spawn(
    'flock',
    ['--exclusive', '--timeout', String(seconds), file, 'sh', '-c', 'echo held; exec cat'],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
      // Of its own group: Ctrl-C at the terminal must not take the lock away while we clean up.
      detached: true,
    },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error('cannot start flock', { cause })));
    child.once('close', () => resolve(undefined));
    child.stdout.once('data', () => {
      // The lock must not keep its holder alive.
      child.unref();
      (child.stdin as Writable & { unref?(): void }).unref?.();
      (child.stdout as Readable & { unref?(): void }).unref?.();
      resolve({
        release: async () => {
          child.ref();
          child.stdin.end();
          await ended;
        },
      });
    });
  });
}
