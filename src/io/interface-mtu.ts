import { runCommand } from './run-command.ts';

/** The MTU of an interface of this host (of its network namespace), in bytes. Rejects if there is no such interface. */
export async function interfaceMtu(name: string): Promise<number> {
  const [link] = JSON.parse(await runCommand('ip', ['-j', 'link', 'show', 'dev', name])) as {
    mtu?: number;
  }[];
  const mtu = link?.mtu;
  if (mtu === undefined || !Number.isInteger(mtu) || mtu < 68) throw new Error(`${name} has no MTU`);
  return mtu;
}
