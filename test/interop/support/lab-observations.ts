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

/** The last lines of a lab's logs, for the message of a failing test. */
export async function logsOf(folder: string): Promise<string> {
  return (await run(['sh', '-c', `tail -n 25 ${folder}/logs/*.log`])).stdout;
}
