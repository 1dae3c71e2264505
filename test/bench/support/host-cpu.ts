import { readdirSync, readFileSync } from 'node:fs';
import type { Host } from '../../../src/lab/host.ts';
import { must, run } from '../../../src/lab/run.ts';

/**
 * What a host of the lab costs, all of it: one host, the measured one, has a processor to itself (`MEASURED`), its processes and what its
 * kernel does on reception (receive packet steering, since a veth bills that to the sender otherwise). All else is on the others, what
 * receives from it included. So the work of that processor is the host's: its processes, system calls, soft interrupts.
 *
 * Work is time that the processor was not idle, less what strangers ran there: time of all its tasks (control group `cpuacct`, where there
 * is one) less the host's own.
 */

const MEASURED = 1;
const OTHERS = 0;
const CPUACCT = '/sys/fs/cgroup/cpuacct/cpuacct.usage_percpu';
const TICKS_PER_SECOND = 100;
const IDLE = 3;
const IOWAIT = 4;
const STOLEN = 7;

/** This process and what it will start. */
export async function leaveMeasuredProcessor(): Promise<void> {
  await must(['taskset', '-a', '-p', '-c', String(OTHERS), String(process.pid)]);
}

/**
 * A host's processes, and its kernel's reception, move to the measured processor or back. `free`: processes may run on all of them, as by
 * themselves they would, only reception is on the measured one; their time is counted wherever they are.
 */
export async function place(
  host: Host,
  pids: readonly number[],
  where: 'measured' | 'free' | 'others',
): Promise<void> {
  const cpus = { measured: MEASURED, free: `${OTHERS},${MEASURED}`, others: OTHERS }[where];
  for (const pid of pids) await must(['taskset', '-a', '-p', '-c', String(cpus), String(pid)]);
  await steer(host, where === 'others' ? OTHERS : MEASURED);
}

/** Networks too: their bridges forward on the others' time. */
export async function steerToOthers(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) await steer(host, OTHERS);
}

async function steer(host: Host, cpu: number): Promise<void> {
  // A TUN's receiver is whoever writes to it.
  const script = `for queue in /sys/class/net/*/queues/rx-*/rps_cpus; do
    case $queue in */net/lo/*|*/net/dvipa*|*/net/ipsec*) ;; *) echo "$1" >"$queue" ;; esac; done`;
  await host.must(['sh', '-c', script, 'steer', (1 << cpu).toString(16)]);
}

interface Look {
  readonly at: number;
  readonly idleNs: number;
  readonly tasksNs: number | undefined;
  readonly ownNs: number;
}

/** Nanoseconds of the measured processor, for the host of these processes, between `start` and `stop`. */
export class HostCpu {
  readonly #pids: readonly number[];
  readonly #before: Look;

  private constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#before = this.#look();
  }

  static async start(pids: readonly number[]): Promise<HostCpu> {
    // What soft interrupts leave undone is done by this thread of the kernel: the host's work too. In a container it is not seen.
    const { stdout } = await run(['pgrep', '-x', `ksoftirqd/${MEASURED}`]);
    return new HostCpu([...pids, ...stdout.split('\n').filter(Boolean).map(Number)]);
  }

  /** `busy`: share of the processor's time. */
  stop(): { ns: number; busy: number } {
    const [before, after] = [this.#before, this.#look()];
    const wallNs = (after.at - before.at) * 1e6;
    const strangersNs =
      after.tasksNs === undefined || before.tasksNs === undefined
        ? 0
        : after.tasksNs - before.tasksNs - (after.ownNs - before.ownNs);
    const ns = wallNs - (after.idleNs - before.idleNs) - Math.max(0, strangersNs);
    return { ns, busy: ns / wallNs };
  }

  #look(): Look {
    const row = new RegExp(`^cpu${MEASURED} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1];
    const ticks = (row ?? '').split(' ').map(Number);
    const idle = [IDLE, IOWAIT, STOLEN].reduce((sum, column) => sum + (ticks[column] ?? 0), 0);
    const own = this.#pids.reduce((sum, pid) => sum + taskNs(pid), 0);
    return {
      at: performance.now(),
      idleNs: (idle * 1e9) / TICKS_PER_SECOND,
      tasksNs: accountedNs(),
      ownNs: own,
    };
  }
}

/** All threads of a process. */
function taskNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1');
    return sum + Number(text.split(' ')[0]);
  }, 0);
}

function accountedNs(): number | undefined {
  try {
    return Number(readFileSync(CPUACCT, 'latin1').trim().split(' ')[MEASURED]);
  } catch {
    return undefined;
  }
}
