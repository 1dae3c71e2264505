import type { Host } from '../../../src/lab/host.ts';
import { run } from '../../../src/lab/run.ts';

/** What a test of the whole system looks at from outside the agents. */

/** Who answers `/` now, or undefined if nobody does in time. */
export async function whoAnswers(client: Host, dvipa: string, seconds = 2): Promise<string | undefined> {
  const { status, stdout } = await client.exec([
    'curl',
    '-s',
    '--max-time',
    String(seconds),
    `http://${dvipa}/`,
  ]);
  return status === 0 ? stdout.split(' ')[0] : undefined;
}

export interface SlowDownload {
  /** Resolves when the answer's head has come. */
  readonly host: Promise<string>;
  /** Resolves at the end; true if every byte came. */
  readonly isWhole: Promise<boolean>;
}

/** A download that takes about `seconds`, so that something can happen to its connection meanwhile. */
export function slowDownload(client: Host, dvipa: string, seconds: number): SlowDownload {
  const bytesPerSecond = 100_000;
  const bytes = seconds * bytesPerSecond;
  const head = `/run/head-${Math.random().toString(36).slice(2)}`;
  const argv = [
    'curl',
    '-s',
    '--max-time',
    String(seconds + 15),
    '--limit-rate',
    String(bytesPerSecond),
    '-D',
    head,
  ];
  const isWhole = client
    .exec([...argv, '-o', '/dev/null', '-w', '%{size_download}', `http://${dvipa}/bytes/${bytes}`])
    .then(({ stdout }) => Number(stdout) === bytes);
  const readHead = async () => {
    for (let tries = 0; tries < 50; tries += 1) {
      const { stdout } = await client.exec(['sh', '-c', `cat ${head} 2>/dev/null; sleep 0.1`]);
      const name = /^x-dvipa-host: (\S+)/im.exec(stdout)?.[1];
      if (name !== undefined) return name;
    }
    throw new Error('the download got no answer');
  };
  return { host: readHead(), isWhole };
}

/** The last lines of a lab's logs, for the message of a failing test. */
export async function logsOf(folder: string): Promise<string> {
  return (await run(['sh', '-c', `tail -n 25 ${folder}/logs/*.log`])).stdout;
}
