import { expect } from 'chai';
import * as fc from 'fast-check';
import { pack } from 'msgpackr';
import { codecOf } from '../../src/coupling/bodies.ts';
import { decodeFrame, encodeFrame } from '../../src/coupling/envelope.ts';
import { CouplingError } from '../../src/coupling/errors.ts';
import { FrameReader } from '../../src/coupling/framing.ts';
import { routeCodecs } from '../../src/coupling/route-schemas.ts';
import { targetCodecs } from '../../src/coupling/target-schemas.ts';
import { routeBodies, targetBodies } from '../coupling/samples.ts';
import { type MemoryPair, makePair } from '../support/coupling-pair.ts';

/** Undefined: accepted. Anything but a `CouplingError` is a fault of ours. */
function refusal(action: () => void): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof CouplingError) return error.code;
    throw error;
  }
  return undefined;
}

const frames = [
  ...Object.entries(routeBodies()).map(([kind, body]) => {
    const codec = codecOf(routeCodecs, kind);
    return encodeFrame({ n: 1, a: 0, e: 1, k: kind, b: codec.encode(body as never) });
  }),
  ...Object.entries(targetBodies()).map(([kind, body]) => {
    const codec = codecOf(targetCodecs, kind);
    return encodeFrame({ n: 1, a: 0, e: 1, k: kind, b: codec.encode(body as never) });
  }),
];

/** What both ends would do with a frame's payload. */
function read(payload: Uint8Array): void {
  const { k, b } = decodeFrame(payload);
  codecOf(k in routeBodies() ? (routeCodecs as never) : (targetCodecs as never), k).decode(b);
}

describe('coupling fuzz', () => {
  it('framing gives the same frames, and the same error, however the stream is cut', () => {
    const piece = fc.integer({ min: 1, max: 50 });
    const payload = fc.uint8Array({ minLength: 0, maxLength: 60 });
    fc.assert(
      fc.property(
        fc.array(payload, { maxLength: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        piece,
        (payloads, rest, size) => {
          const bytes = Buffer.concat([
            ...payloads.map((one) => Buffer.concat([Buffer.from([0, 0, 0, one.length]), one])),
            rest,
          ]);
          const outcome = (pieceBytes: number) => {
            const reader = new FrameReader();
            const read: string[] = [];
            const error = refusal(() => {
              for (let at = 0; at < bytes.length; at += pieceBytes) {
                const chunk = Buffer.from(bytes.subarray(at, at + pieceBytes));
                for (const frame of reader.feed(chunk)) read.push(frame.toString('hex'));
              }
            });
            return { read, error };
          };
          expect(outcome(size)).to.deep.equal(outcome(bytes.length + 1));
        },
      ),
    );
  });

  it('random bytes as a record are refused with a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        expect(refusal(() => read(bytes))).to.equal('coupling-malformed');
      }),
      { numRuns: 2000 },
    );
  });

  it('any value that msgpack can hold is refused with a typed error', () => {
    const value = fc.anything({
      withBigInt: false,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
    });
    fc.assert(
      fc.property(value, (anything) => {
        let packed: Uint8Array;
        try {
          packed = pack({ n: 1, a: 0, e: 1, k: 'sa-install', b: anything });
        } catch {
          return; // not packable
        }
        expect(refusal(() => read(packed))).to.equal('coupling-malformed');
      }),
      { numRuns: 1000 },
    );
  });

  it('a record with some bytes changed is refused with a typed error or is a record still', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(
        fc.nat(frames.length - 1),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (which, changes) => {
          const payload = Buffer.from((frames[which] as Buffer).subarray(4));
          for (const [at, byte] of changes) payload[at % payload.length] = byte;
          expect(refusal(() => read(payload))).to.be.oneOf(['coupling-malformed', undefined]);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('an end that reads anything at all closes, and never throws', async () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.boolean(), async (pieces, isOpen) => {
        const pair = (await makePair({ real: false })) as MemoryPair;
        if (isOpen) await pair.connect();
        else pair.join();
        for (const piece of pieces) {
          pair.routeEnd?.receive(Buffer.from(piece));
          pair.targetEnd?.receive(Buffer.from(piece));
        }
        expect([
          pair.route.records,
          pair.route.causes.filter((cause) => !(cause instanceof CouplingError)),
        ]).to.deep.equal([[], []]);
        await pair.close();
        expect(pair.clock.pending).to.equal(0);
      }),
      { numRuns: 200 },
    );
  });
});
