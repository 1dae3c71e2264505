import { z } from 'zod';
import { KeyMaterial } from '../base/key-material.ts';
import { type OutboundPolicy, wipeKeys } from '../ipsec/sa.ts';
import { type BodyCodecs, converted, plain } from './bodies.ts';
import {
  address,
  count,
  flow,
  host,
  network,
  outer,
  rawBytes,
  saId,
  text,
  total,
  u16,
  u32,
  u64,
  window,
} from './fields.ts';
import {
  ENDPOINTS_MAX,
  LINK_KEY_BYTES,
  POLICY_KEY_MAX_CHARACTERS,
  RULES_MAX,
  STAMP_KEY_BYTES,
} from './limits.ts';
import type { RouteBodies, RouteHello, SaInstallRecord, TargetEvent } from './records.ts';
import { fromSa, policySchema, saSchema, toSa } from './sa-wire.ts';

/** What a routing host sends, on the wire. */

export const routeHello: z.ZodType<RouteHello> = z.strictObject({
  version: u32,
  role: z.literal('route'),
  host,
  epoch: z.int().min(1).max(0xffff_ffff),
});

const rule = z.strictObject({
  action: z.enum(['permit', 'deny', 'require-ipsec']),
  protocol: z.union([z.enum(['tcp', 'udp', 'icmp', 'icmpv6', 'any']), z.int().min(1).max(255)]),
  fromPort: u16,
  toPort: u16,
  sourcePorts: z.strictObject({ from: u16, to: u16 }).exactOptional(),
  source: network.exactOptional(),
});

const ports = z
  .strictObject({ from: u16.min(1), to: u16 })
  .refine(({ from, to }) => from <= to, 'from is not above to');

const sourcePorts = z
  .strictObject({ from: u16.min(1), to: u16, leased: ports.exactOptional() })
  .refine(
    ({ from, to, leased }) =>
      from <= to && (leased === undefined || (leased.from >= from && leased.to <= to)),
    'the lease is within the range',
  );

const dvipa = z.strictObject({
  address,
  endpoints: z.array(address).min(1).max(ENDPOINTS_MAX),
  filterMode: z.enum(['bypass', 'filter']),
  rules: z.array(rule).max(RULES_MAX),
  clearText: z.enum(['reject', 'distribute']),
  returnVia: z.enum(['direct', 'router']),
  router: address,
  sourcePorts: sourcePorts.exactOptional(),
});

const linkKey = z.strictObject({
  key: rawBytes(LINK_KEY_BYTES, LINK_KEY_BYTES),
  toRouter: rawBytes(LINK_KEY_BYTES, LINK_KEY_BYTES),
  keyId: u32,
  dispatched: u64,
});

const credit = z.strictObject({ bytes: total, packets: total });

const stampKey = rawBytes(STAMP_KEY_BYTES, STAMP_KEY_BYTES);

const saInstall = z.strictObject({
  sa: saSchema,
  stamping: z.strictObject({ link: stampKey, check: stampKey }).exactOptional(),
  senderId: z.int().min(1).max(0xffff).exactOptional(),
  window: window.exactOptional(),
  isWindowComplete: z.boolean().exactOptional(),
  credit,
});

const policyKey = text(POLICY_KEY_MAX_CHARACTERS);

const leaseGrant = z.strictObject({ sa: saId, lease: u32, first: u64, count, ttlMs: u32 });

export const routeCodecs: BodyCodecs<RouteBodies> = {
  dvipa: plain(dvipa),
  'dvipa-remove': plain(z.strictObject({ address })),
  'link-key': converted(
    linkKey,
    (body) => ({
      key: body.key.reveal(),
      toRouter: body.toRouter.reveal(),
      keyId: body.keyId,
      dispatched: body.dispatched,
    }),
    (wire) => ({
      key: KeyMaterial.copyOf(wire.key),
      toRouter: KeyMaterial.copyOf(wire.toRouter),
      keyId: wire.keyId,
      dispatched: wire.dispatched,
    }),
  ),
  'sa-install': converted(
    saInstall,
    ({ sa, stamping, ...same }: SaInstallRecord) => ({
      ...same,
      sa: fromSa(sa),
      ...(stamping && { stamping: { link: stamping.link.reveal(), check: stamping.check.reveal() } }),
    }),
    ({ sa, stamping, ...same }) => ({
      ...same,
      sa: toSa(sa),
      ...(stamping && {
        stamping: { link: KeyMaterial.copyOf(stamping.link), check: KeyMaterial.copyOf(stamping.check) },
      }),
    }),
  ),
  'sa-update': plain(z.strictObject({ id: saId, outer, hasUdpEncapsulation: z.boolean() })),
  'path-mtu': plain(z.strictObject({ sa: saId, mtu: u16.min(1) })),
  claim: plain(z.strictObject({ sa: saId, sequence: u64 })),
  'sa-remove': plain(z.strictObject({ id: saId })),
  'policy-install': converted(
    z.strictObject({ policy: policySchema }),
    ({ policy }) => ({ policy: withoutEmptySpi(policy) }),
    (wire) => wire,
  ),
  'policy-remove': plain(z.strictObject({ key: policyKey })),
  'lease-grant': plain(leaseGrant),
  'lease-revoke': plain(z.strictObject({ sa: saId, lease: u32 })),
  way: plain(z.strictObject({ sa: saId, way: z.enum(['stamping', 'funnel', 'exclusive']) })),
  completeness: plain(z.strictObject({ dvipa: address, complete: z.boolean() })),
  credit: plain(credit.extend({ sa: saId })),
  'flow-answer': plain(z.strictObject({ flow, isYours: z.boolean() })),
};

/** An undefined field would travel as an extension type. */
function withoutEmptySpi(policy: OutboundPolicy): Record<string, unknown> {
  const { spi, ...same } = policy;
  return spi === undefined ? same : { ...same, spi };
}

/** For a record that nobody will handle: its keys must not outlive it. */
export function wipeEvent(event: TargetEvent): void {
  if (event.kind === 'sa-install') {
    wipeKeys(event.body.sa);
    event.body.stamping?.link.wipe();
    event.body.stamping?.check.wipe();
  }
  if (event.kind === 'link-key') {
    event.body.key.wipe();
    event.body.toRouter.wipe();
  }
}
