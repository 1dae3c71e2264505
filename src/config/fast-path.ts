import { z } from 'zod';
import { flag, integer, object, oneOf } from './fields.ts';

/** How packets move on this host. Whatever the kernel or the machine has not is left out by itself, with one line in the log. */
export interface FastPathConfig {
  readonly link: { readonly driver: 'auto' | 'batch' | 'dgram' };
  readonly offloads: {
    /** Many datagrams in one send call (UDP_SEGMENT). */
    readonly gso: boolean;
    /** Many datagrams in one receive call (UDP_GRO, and super-packets on the capture). */
    readonly gro: boolean;
    /** Large TCP segments across the TUN (IFF_VNET_HDR). Of no meaning on a routing host. */
    readonly tun: boolean;
  };
  readonly polling: {
    /** Microseconds from one look for packets to the next while they come fast; 0: a look for each that comes. */
    readonly pause: number;
  };
  readonly crypto: { readonly library: 'auto' | 'ipsec-mb' | 'openssl' | 'node' };
  /** Threads that work on packets, the one that decides about them included. */
  readonly workers: 'auto' | number;
}

const WORKERS_MAX = 64;
const WORKERS = `threads from 1 to ${WORKERS_MAX}`;
const error = `expected auto, or ${WORKERS}`;

export const fastPathSections = {
  link: object({
    driver: oneOf('auto', 'batch', 'dgram').default('auto').meta({
      description:
        'What moves packets across the cluster. batch: many packets a system call; dgram: one, with nothing but Node.js; auto: batch where the kernel can.',
    }),
  })
    .prefault({})
    .meta({ description: 'The trusted link.', reload: 'restart' }),
  offloads: object({
    gso: flag
      .default(true)
      .meta({ description: 'Hand many datagrams of one receiver to the kernel as one (UDP_SEGMENT).' }),
    gro: flag
      .default(true)
      .meta({ description: 'Take many datagrams of one sender from the kernel as one (UDP_GRO).' }),
    tun: flag.default(true).meta({
      description:
        'Large TCP segments across the TUN of a target (IFF_VNET_HDR). Of no meaning on a routing host.',
    }),
  })
    .prefault({})
    .meta({
      description:
        'What turns itself off where the kernel has it not; can be turned off where a kernel or a network card has it wrong.',
      reload: 'restart',
    }),
  polling: object({
    pause: integer(0, 1000, 'microseconds').default(100).meta({
      description:
        'While packets come fast and few at a time: from one look for them to the next, so that many are handled at once. It is added to their latency; 0: never waits.',
    }),
  })
    .prefault({})
    .meta({ description: 'How often this host looks for packets.', reload: 'restart' }),
  crypto: object({
    library: oneOf('auto', 'ipsec-mb', 'openssl', 'node').default('auto').meta({
      description:
        'Who does the cryptography of packets. ipsec-mb: where this host has it; openssl: the addon packet-crypto; node: nothing but Node.js; auto: the first of these that is there.',
    }),
  })
    .prefault({})
    .meta({ description: 'Cryptography of packets.', reload: 'restart' }),
  workers: z
    .union([z.literal('auto'), z.int({ error }).min(1, { error }).max(WORKERS_MAX, { error })], { error })
    .default('auto')
    .meta({
      kind: `\`auto\`, or ${WORKERS}`,
      description:
        'Threads that do the cryptography of packets, and hand them to the kernel, the one that decides about them included. auto: the processors that the agent may use, less one, at most 4.',
      reload: 'restart',
    }),
};
