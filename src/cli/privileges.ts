import { readFileSync } from 'node:fs';

/** capability.h: routes, rules, TUN; raw and packet sockets. */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

/** What this process lacks to run an agent, in one line; undefined if nothing. `status` is /proc/self/status. */
export function missingPrivileges(
  status: string = readFileSync('/proc/self/status', 'utf8'),
): string | undefined {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const missing = [
    ...((effective >> CAP_NET_ADMIN) & 1n ? [] : ['CAP_NET_ADMIN']),
    ...((effective >> CAP_NET_RAW) & 1n ? [] : ['CAP_NET_RAW']),
  ];
  return missing.length === 0 ? undefined : `needs root, or the capabilities ${missing.join(' and ')}`;
}
