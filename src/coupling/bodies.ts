import type { z } from 'zod';
import { check, describe } from './envelope.ts';
import { CouplingError } from './errors.ts';

/** How the body of one kind of record travels. `W`: on the wire, `B`: in the agents. */
export interface BodyCodec<B> {
  /** Validated wire form, ready to pack. Throws `TypeError`: our own body breaks the protocol. */
  encode(body: B): unknown;
  /** Throws only `CouplingError`. What it returns shares nothing with the frame. */
  decode(raw: unknown): B;
}

export type BodyCodecs<Bodies> = { readonly [K in keyof Bodies]: BodyCodec<Bodies[K]> };

/** A body that is the same on the wire and in the agents. */
export function plain<B>(schema: z.ZodType<B>): BodyCodec<B> {
  return converted(
    schema,
    (body) => body,
    (wire) => wire,
  );
}

export function converted<B, W>(
  schema: z.ZodType<W>,
  toWire: (body: B) => unknown,
  fromWire: (wire: W) => B,
): BodyCodec<B> {
  return {
    encode(body) {
      const wire = toWire(body);
      const result = schema.safeParse(wire);
      if (!result.success) throw new TypeError(`record body: ${describe(result.error)}`);
      return wire;
    },
    decode: (raw) => fromWire(check(schema, raw, 'body')),
  };
}

/** The codec of a kind that came from outside. Throws `CouplingError` for one that the peer's role does not send. */
export function codecOf<Bodies>(codecs: BodyCodecs<Bodies>, kind: string): BodyCodec<Bodies[keyof Bodies]> {
  if (!Object.hasOwn(codecs, kind)) throw new CouplingError('coupling-malformed', 'unknown kind of record');
  return codecs[kind as keyof Bodies];
}
