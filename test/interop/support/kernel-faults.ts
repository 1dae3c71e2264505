import type { Host } from '../../../src/lab/host.ts';

/** What a Linux kernel says went wrong with packets of IPsec: the counters that are not 0. */
export async function kernelFaults(kernel: Host): Promise<Record<string, number>> {
  const text = await kernel.must(['sh', '-c', 'cat /proc/net/xfrm_stat; ip -s xfrm state']);
  const faults: Record<string, number> = {};
  const add = (name = '', count = '0') => {
    if (Number(count) > 0) faults[name] = (faults[name] ?? 0) + Number(count);
  };
  for (const [, name, count] of text.matchAll(/^(Xfrm\w+)\s+(\d+)$/gm)) add(name, count);
  for (const [, window, replay, failed] of text.matchAll(/replay-window (\d+) replay (\d+) failed (\d+)/g)) {
    add('outside the replay window', window);
    add('replay', replay);
    add('integrity', failed);
  }
  return faults;
}
