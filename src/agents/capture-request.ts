import { z } from 'zod';
import { DROP_REASONS, type DropReason } from '../base/verdict.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import { type IpAddress, parseAddress } from '../packet/address.ts';

const address = z
  .string()
  .max(45)
  .transform((text, context) => {
    const parsed = parseAddress(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: `${text.slice(0, 45)}: expected an IP address` });
    return z.NEVER;
  });

const request = z.strictObject({
  inner: z.boolean().default(false),
  dropsOnly: z.boolean().default(false),
  reason: z
    .string()
    .refine((text) => text !== 'none' && (DROP_REASONS as readonly string[]).includes(text), {
      error: 'expected a reason to drop (docs/drops.md)',
    })
    .optional(),
  dvipa: address.optional(),
  peer: address.optional(),
  spi: z
    .string()
    .regex(/^[0-9a-f]{8}$/, { error: 'expected 8 hex digits' })
    .optional(),
  snapLength: z.int().min(64, { error: 'expected 64 to 65535 bytes' }).max(65_535).default(65_535),
});

export interface CaptureRequest {
  /** Plaintext as well. */
  readonly inner: boolean;
  readonly dropsOnly: boolean;
  readonly reason?: DropReason | undefined;
  readonly dvipa?: IpAddress | undefined;
  readonly peer?: IpAddress | undefined;
  readonly spi?: number | undefined;
  readonly snapLength: number;
}

/** What the admin socket's command `capture` is asked. Throws with what was expected. */
export function parseCaptureRequest(args: AdminArguments): CaptureRequest {
  const parsed = request.safeParse(args);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error(`capture: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a request'}`);
  }
  const { spi, reason, ...same } = parsed.data;
  return {
    ...same,
    reason: reason as DropReason | undefined,
    spi: spi === undefined ? undefined : Number.parseInt(spi, 16),
  };
}
