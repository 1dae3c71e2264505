import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { linkFeatures } from '../../io/link-features.ts';
import type { Finding } from '../finding.ts';
import {
  judgeInterfaces,
  type InterfaceFacts,
  kernelShowsJoinedUdp,
  type TakesApart,
} from '../judge/interfaces.ts';
import type { Situation } from './situation.ts';

/** IFF_UP (if.h). */
const IFF_UP = 1;

export async function lookAtInterfaces({ config }: Situation): Promise<Finding[]> {
  const uses = ['outside', 'cluster'] as const;
  return judgeInterfaces({
    role: config.role,
    interfaces: await Promise.all(uses.map((use) => interfaceFacts(config[use].interface, use))),
    takesApart: takesApart(config.offloads.gro),
    tun: config.role === 'target' ? await tunFacts(config.tun.name) : undefined,
  });
}

function takesApart(gro: boolean): TakesApart {
  if (!gro) return 'switched-off';
  return kernelShowsJoinedUdp(release()) ? 'yes' : 'kernel-too-old';
}

async function interfaceFacts(name: string, use: InterfaceFacts['use']): Promise<InterfaceFacts> {
  const isUp = await isInterfaceUp(name);
  return {
    name,
    use,
    isUp,
    reversePath: await largerSetting(name, 'rp_filter'),
    features: isUp === undefined ? undefined : await linkFeatures(name),
  };
}

async function tunFacts(name: string) {
  if ((await isInterfaceUp(name)) === undefined) return undefined;
  return { name, reversePath: await largerSetting(name, 'rp_filter') };
}

/** Undefined: no such interface. */
async function isInterfaceUp(name: string): Promise<boolean | undefined> {
  const flags = await readOrUndefined(`/sys/class/net/${name}/flags`);
  return flags === undefined ? undefined : (Number(flags) & IFF_UP) !== 0;
}

/** Of `all` and the interface the larger value counts, with these settings of IPv4 (ip-sysctl.rst). */
export async function largerSetting(name: string, setting: string): Promise<number> {
  const values = await Promise.all(
    ['all', name].map((each) => readOrUndefined(`/proc/sys/net/ipv4/conf/${each}/${setting}`)),
  );
  return Math.max(...values.map((text) => Number(text ?? 0)));
}

async function readOrUndefined(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'latin1')).trim();
  } catch {
    return undefined;
  }
}
