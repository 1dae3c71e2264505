import { Packr, Unpackr } from 'msgpackr/index-no-eval';
import { z } from 'zod';
import { CouplingError } from './errors.ts';
import { FRAME_HEADER_BYTES } from './framing.ts';
import { FRAME_MAX_BYTES } from './limits.ts';
import { scanMsgpack } from './msgpack-scan.ts';

/** What every record travels in. */
export interface Envelope {
  /** Running number of this direction, from 1, no gaps. */
  readonly n: number;
  /** Acknowledgement: all of the peer's records up to this number were handled. */
  readonly a: number;
  /** Epoch of the routing host; 0 in a target's hello. */
  readonly e: number;
  readonly k: string;
  /** Body: decoded, not validated. Byte strings alias the frame. */
  readonly b: unknown;
}

const envelopeSchema = z.strictObject({
  n: z.int().min(1),
  a: z.int().min(0),
  e: z.int().min(0).max(0xffff_ffff),
  k: z.string().min(1).max(32),
  b: z.unknown(),
});

// The package without its native part, which makes one text of all strings of a frame and of what lies between them: keys.
// No records extension, no structured clone, no extra types: plain maps only. 64-bit integers become bigint.
const OPTIONS = { useRecords: false, mapsAsObjects: true, structuredClone: false, moreTypes: false } as const;
const packr = new Packr({ ...OPTIONS, variableMapSize: true });
const unpackr = new Unpackr(OPTIONS);

/**
 * msgpackr packs into a buffer of its module. It is always this one, so that keys are left nowhere else: wiped
 * after each record, and large enough not to be replaced by a larger one half way.
 */
const scratch = Buffer.allocUnsafeSlow(2 * FRAME_MAX_BYTES);

/** A frame in memory of its own, ready to be sent, then wiped. Throws `TypeError` above the frame cap. */
export function encodeFrame(envelope: Envelope): Buffer {
  packr.useBuffer(scratch);
  const packed = packr.pack(envelope);
  try {
    if (packed.length > FRAME_MAX_BYTES)
      throw new TypeError(`record ${envelope.k} of ${packed.length} bytes`);
    const frame = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + packed.length);
    frame.writeUInt32BE(packed.length, 0);
    frame.set(packed, FRAME_HEADER_BYTES);
    return frame;
  } finally {
    packed.fill(0);
  }
}

/** Throws only `CouplingError` (`coupling-malformed`). Does not copy: see `Envelope.b`. */
export function decodeFrame(frame: Uint8Array): Envelope {
  scanMsgpack(frame);
  let decoded: unknown;
  try {
    decoded = unpackr.unpack(frame);
  } catch (cause) {
    throw new CouplingError('coupling-malformed', 'record: not msgpack', { cause });
  }
  return check(envelopeSchema, decoded, 'envelope');
}

/** Validates; the error names the field, never its value. Throws `CouplingError` (`coupling-malformed`). */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new CouplingError('coupling-malformed', `${what}: ${describe(result.error)}`);
}

export function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  const path = issue.path.map(String).join('.');
  return path === '' ? issue.code : `${path}: ${issue.code}`;
}
