/**
 * What the fast data plane is to reach, by the key of a row in out/bench.json. A bench claims a key by printing a measurement under it
 * (`rows.ts`); whoever measures it, the judgement is here.
 */

interface Limit {
  /** What the value is, with its unit. */
  readonly measure: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** `a times less CPU`: how often the work of ours goes into the work of the other. */
export const TARGETS: Readonly<Record<string, Limit>> = {
  'routing.uncoalesced': { measure: 'times less CPU than kernel-libipsec decrypt, 1440 B', atLeast: 3 },
  'routing.coalesced8': { measure: 'times less CPU than kernel-libipsec decrypt, 1440 B', atLeast: 8 },
  'routing.coalesced40': { measure: 'times less CPU than kernel-libipsec decrypt, 1440 B', atLeast: 14 },
  'target.in.evp': { measure: 'times less CPU than kernel-libipsec decrypt, 1440 B', atLeast: 9 },
  'target.in.mb': { measure: 'times less CPU than kernel-libipsec decrypt, 1440 B', atLeast: 12 },
  'target.out.evp': { measure: 'times less CPU than kernel-libipsec encrypt, 1400 B', atLeast: 9 },
  'target.out.mb': { measure: 'times less CPU than kernel-libipsec encrypt, 1400 B', atLeast: 12 },
  stamp: { measure: 'times less than a seal by EVP, 1408 B', atLeast: 20 },
  'cluster.tcp': { measure: 'times the TCP throughput of a kernel-libipsec gateway', atLeast: 10 },
  'crypto.gcm1408.evp': { measure: 'of the time of openssl speed', atMost: 0.85 },
  'crypto.gcm1408.mb': { measure: 'of the time of openssl speed', atMost: 0.3 },
  scale: { measure: 'times the CPU with few SAs and connections', atMost: 1.5 },
  // The worse of two.
  memory: { measure: 'of 2 KB an SA on a target, and of 96 B a connection on the routing host', atMost: 1 },
  'control.ack3': { measure: 'ms from add_sa to the third acknowledgement, p99', atMost: 10 },
  'control.ike': { measure: 'of the IKE set-ups per second of a stock charon', atLeast: 0.9 },
};

export function isReached({ atLeast = -Infinity, atMost = Infinity }: Limit, value: number): boolean {
  return value >= atLeast && value <= atMost;
}
