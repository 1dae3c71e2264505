import { expect } from 'chai';
import { ViciError, type ViciErrorCode } from '../../src/vici/error.ts';
import { readVectors } from './vectors.ts';

export interface CharonVector {
  readonly name: string;
  /** The command line of swanctl, or the bytes sent. */
  readonly command: string;
  /** What swanctl printed: its own decoding. */
  readonly raw: string;
  /** Length-prefixed packets in the order of the wire. */
  readonly frames: readonly { readonly from: 'client' | 'charon'; readonly hex: string }[];
}

/** What swanctl and charon said to each other; see test/vectors/vici/record.ts. */
export const charonVectors = (readVectors('vici/charon.json') as { vectors: CharonVector[] }).vectors;

export function charonVector(name: string): CharonVector {
  const vector = charonVectors.find((candidate) => candidate.name === name);
  if (vector === undefined) throw new Error(`no such vector: ${name}`);
  return vector;
}

/** Expects that `work` throws a ViciError with this code. */
export function expectThrows(code: ViciErrorCode, work: () => unknown, of = ''): ViciError {
  try {
    work();
  } catch (error) {
    expect(error, of).to.be.instanceOf(ViciError);
    expect((error as ViciError).code, of).to.equal(code);
    return error as ViciError;
  }
  throw new Error(`nothing was thrown, ${code} was expected ${of}`);
}

/** Expects that `work` rejects with a ViciError with this code. */
export async function expectRejects(code: ViciErrorCode, work: Promise<unknown>): Promise<ViciError> {
  const outcome = await work.then(
    () => 'resolved',
    (error: unknown) => error,
  );
  expect(outcome).to.be.instanceOf(ViciError);
  expect((outcome as ViciError).code).to.equal(code);
  return outcome as ViciError;
}

/** Lets promises and socket events that are due run, until the condition holds. */
export async function until(isTrue: () => boolean, what = 'condition'): Promise<void> {
  for (let turns = 0; !isTrue(); turns++) {
    if (turns > 20_000) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
