import { z } from 'zod';
import type { TracedPacket } from '../dataplane/trace/trace-steps.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { makePacket } from './made-packet.ts';

const PROTOCOLS = {
  icmp: IP_PROTOCOL.ICMP,
  tcp: IP_PROTOCOL.TCP,
  udp: IP_PROTOCOL.UDP,
  icmpv6: IP_PROTOCOL.ICMPV6,
} as const;
const MAX_PACKET_BYTES = 65_535;
const MAX_DATA_BYTES = 65_000;

const portNumber = z.int({ error: 'expected a port' }).min(0).max(65_535).default(0);
const address = z.string({ error: 'expected an address' }).max(45).optional();

const request = z
  .strictObject({
    /** A whole packet, in place of what makes one. */
    hex: z
      .string()
      .max(2 * MAX_PACKET_BYTES, { error: 'expected at most 65535 bytes' })
      .regex(/^(?:[0-9a-f]{2})+$/i, { error: 'expected whole bytes in hex' })
      .optional(),
    from: address,
    to: address,
    fromPort: portNumber,
    toPort: portNumber,
    protocol: z
      .union([z.enum(['icmp', 'tcp', 'udp', 'icmpv6']), z.int().min(0).max(255)], {
        error: 'expected icmp, tcp, udp, icmpv6, or a number up to 255',
      })
      .default('tcp'),
    /** Of TCP. */
    flags: z.enum(['syn', 'ack', 'fin', 'rst'], { error: 'expected syn, ack, fin or rst' }).default('syn'),
    dataBytes: z.int().min(0).max(MAX_DATA_BYTES).default(0),
    /** Of the SA that it came by; undefined: one that fits. */
    spi: z
      .string()
      .regex(/^[0-9a-f]{8}$/, { error: 'expected 8 hex digits' })
      .optional(),
    inClear: z.boolean().default(false),
    outbound: z.boolean().default(false),
  })
  .refine(({ hex, from, to }) => hex !== undefined || (from !== undefined && to !== undefined), {
    error: 'expected hex, or both from and to',
  });

export interface TraceRequest {
  readonly packet: TracedPacket;
  readonly isOutbound: boolean;
}

/** What the admin socket's command `trace` is asked. Throws with what was expected. */
export function parseTraceRequest(args: AdminArguments): TraceRequest {
  const parsed = request.safeParse(args);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw new Error(`trace: ${where === '' ? '' : `${where}: `}${issue?.message ?? 'not a packet'}`);
  }
  const { hex, from = '', to = '', protocol, spi, inClear, outbound: isOutbound, ...fields } = parsed.data;
  if (hex !== undefined) return { packet: { bytes: Buffer.from(hex, 'hex'), isInner: false }, isOutbound };
  const number = typeof protocol === 'number' ? protocol : PROTOCOLS[protocol];
  const bytes = makePacket({ ...fields, from, to, protocol: number });
  const isInner = !inClear && !isOutbound;
  return {
    packet: { bytes, isInner, spi: spi === undefined ? undefined : Number.parseInt(spi, 16) },
    isOutbound,
  };
}
