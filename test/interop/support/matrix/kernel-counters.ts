import type { Host } from '../../../../src/lab/host.ts';

/**
 * What a Linux kernel says went wrong with packets of IPsec: counters of /proc/net/xfrm_stat that are not 0, and the SAs'
 * own counts of replays and of failed integrity checks.
 */
export async function kernelFaults(kernel: Host): Promise<Record<string, number>> {
  const script = 'cat /proc/net/xfrm_stat; ip -s xfrm state | grep "replay-window . replay"';
  const { stdout } = await kernel.exec(['sh', '-c', script]);
  const counts: Record<string, number> = {};
  const add = (name: string, count: number) => {
    if (count > 0) counts[name] = (counts[name] ?? 0) + count;
  };
  for (const line of stdout.split('\n')) {
    const [, name, value] = /^(Xfrm\w+)\s+(\d+)$/.exec(line) ?? [];
    if (name !== undefined) add(name, Number(value));
    const [, window, replay, failed] = /replay-window (\d+) replay (\d+) failed (\d+)/.exec(line) ?? [];
    add('outside the replay window', Number(window ?? 0));
    add('replay', Number(replay ?? 0));
    add('integrity', Number(failed ?? 0));
  }
  return counts;
}
