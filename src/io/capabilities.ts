/** capability.h: what agents need, by number. */
const NEEDED = [
  // Routes, rules, TUN.
  ['CAP_NET_ADMIN', 12n],
  // Raw and packet sockets.
  ['CAP_NET_RAW', 13n],
] as const;

/** What a process lacks to run an agent. `status` is its /proc/PID/status. */
export function missingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return NEEDED.flatMap(([name, bit]) => ((effective >> bit) & 1n ? [] : [name]));
}
