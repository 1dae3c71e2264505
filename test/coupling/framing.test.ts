import { expect } from 'chai';
import { CouplingError } from '../../src/coupling/errors.ts';
import { FrameReader } from '../../src/coupling/framing.ts';
import { FRAME_MAX_BYTES, HELLO_FRAME_MAX_BYTES } from '../../src/coupling/limits.ts';

function frame(payload: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, payload]);
}

/** Copies of the frames, as they come from pieces of the given size. */
function read(reader: FrameReader, bytes: Buffer, pieceBytes: number): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    for (const payload of reader.feed(Buffer.from(bytes.subarray(at, at + pieceBytes)))) {
      frames.push(payload.toString('hex'));
    }
  }
  return frames;
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof CouplingError) return error.code;
    throw error;
  }
  return undefined;
}

describe('coupling framing', () => {
  const payloads = [Buffer.from([1]), Buffer.alloc(HELLO_FRAME_MAX_BYTES, 2), Buffer.from('abc')];
  const stream = Buffer.concat(payloads.map(frame));
  for (const pieceBytes of [1, 3, 5, 1000, stream.length]) {
    it(`yields every frame of a stream in pieces of ${pieceBytes} bytes`, () => {
      expect(read(new FrameReader(), stream, pieceBytes)).to.deep.equal(
        payloads.map((payload) => payload.toString('hex')),
      );
    });
  }

  it('yields nothing for any truncation of a frame, and keeps the bytes', () => {
    const whole = frame(Buffer.from('hello'));
    for (let length = 0; length < whole.length; length++) {
      const reader = new FrameReader();
      expect(read(reader, whole.subarray(0, length), 100)).to.deep.equal([]);
      expect(reader.bufferedBytes).to.equal(length);
      expect(read(reader, whole.subarray(length), 100)).to.have.lengthOf(1);
    }
  });

  it('refuses a frame above 4 KiB before hello, from its header alone', () => {
    const header = Buffer.from([0, 0, 0x10, 0x01]);
    expect(codeOf(() => read(new FrameReader(), header, 1))).to.equal('coupling-oversized');
  });

  it('accepts 256 KiB after hello, and not a byte more', () => {
    const reader = new FrameReader();
    reader.acceptLargeFrames();
    expect(read(reader, frame(Buffer.alloc(FRAME_MAX_BYTES, 7)), 16_384)).to.have.lengthOf(1);
    expect(codeOf(() => read(reader, Buffer.from([0, 4, 0, 1]), 4))).to.equal('coupling-oversized');
  });

  it('refuses an empty frame', () => {
    expect(codeOf(() => read(new FrameReader(), Buffer.alloc(4), 4))).to.equal('coupling-malformed');
  });

  it('refuses plain text as an oversized frame', () => {
    expect(codeOf(() => read(new FrameReader(), Buffer.from('GET / HTTP/1.1'), 1))).to.equal(
      'coupling-oversized',
    );
  });

  it('wipes the bytes that it was given, and a frame when the next one is asked for', () => {
    const chunk = frame(Buffer.from('secret'));
    let seen: Buffer | undefined;
    for (const payload of new FrameReader().feed(chunk)) {
      expect(payload.toString()).to.equal('secret');
      seen = payload;
    }
    expect(chunk.every((byte) => byte === 0)).to.equal(true);
    expect(seen?.every((byte) => byte === 0)).to.equal(true);
  });

  it('wipes the smaller buffer when a frame needs a larger one', () => {
    const reader = new FrameReader();
    const payload = Buffer.alloc(2000, 0x5e);
    expect(read(reader, frame(payload), 300)).to.deep.equal([payload.toString('hex')]);
  });
});
