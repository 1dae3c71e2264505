import { z } from 'zod';
import { countNumbers, RANGE_BYTES } from '../ipsec/number-ranges.ts';
import { type BodyCodecs, plain } from './bodies.ts';
import { address, bytes, count, flow, host, saId, text, total, u16, u32, u64, window } from './fields.ts';
import {
  FLOWS_MAX,
  LISTENED_PORTS_MAX,
  POLICY_KEY_MAX_CHARACTERS,
  REASON_MAX_CHARACTERS,
  REPORTED_NUMBERS_MAX,
} from './limits.ts';
import type { TargetBodies, TargetHello } from './records.ts';

/** What a target sends, on the wire. */

export const targetHello: z.ZodType<TargetHello> = z.strictObject({
  version: u32,
  role: z.literal('target'),
  host,
  incarnation: u64,
  epochSeen: u32,
});

/** TCP and UDP have no port 0 that one could answer to. */
const port = u16.min(1);

const ports = z
  .array(port)
  .max(LISTENED_PORTS_MAX)
  .refine((list) => list.every((each, i) => i === 0 || each > (list[i - 1] as number)), 'ascending');

const flows = z.array(flow).max(FLOWS_MAX);

const saInstalled = z.strictObject({
  id: saId,
  ok: z.boolean(),
  reason: text(REASON_MAX_CHARACTERS).exactOptional(),
});

/** However they are packed: handling them takes time for each. */
const numbers = bytes(0, REPORTED_NUMBERS_MAX * RANGE_BYTES).refine((packed) => {
  const count = countNumbers(packed);
  return count !== undefined && count <= REPORTED_NUMBERS_MAX;
}, 'ranges of numbers');

export const targetCodecs: BodyCodecs<TargetBodies> = {
  'sa-installed': plain(saInstalled),
  'policy-installed': plain(z.strictObject({ key: text(POLICY_KEY_MAX_CHARACTERS) })),
  window: plain(window.extend({ sa: saId, isComplete: z.boolean() })),
  'windows-end': plain(z.strictObject({ livesMs: total })),
  'replay-report': plain(z.strictObject({ sa: saId, numbers, floor: u64, wrongIcvs: u32 })),
  'claim-answer': plain(z.strictObject({ sa: saId, sequence: u64, isGiven: z.boolean() })),
  'mapping-report': plain(z.strictObject({ sa: saId, address, port, sequence: u64 })),
  'lifesize-report': plain(z.strictObject({ sa: saId, bytes: total, packets: total, idleMs: total })),
  'flow-report': plain(z.strictObject({ opened: flows, closed: flows, full: z.boolean() })),
  'flow-ask': plain(z.strictObject({ flow })),
  acquire: plain(
    z.strictObject({
      key: text(POLICY_KEY_MAX_CHARACTERS),
      protocol: z.int().min(0).max(255),
      source: address,
      sourcePort: u16,
      destination: address,
      destinationPort: u16,
    }),
  ),
  listeners: plain(z.strictObject({ dvipa: address, tcp: ports, udp: ports })),
  'dvipa-wanted': plain(z.strictObject({ dvipa: address })),
  load: plain(z.strictObject({ busyPerMille: z.int().min(0).max(1000) })),
  maintenance: plain(z.strictObject({ isOn: z.boolean() })),
  'lease-request': plain(z.strictObject({ sa: saId, count })),
  'lease-return': plain(z.strictObject({ sa: saId, lease: u32, firstUnused: u64 })),
  flush: plain(z.strictObject({ sa: saId, counter: u64 })),
};
