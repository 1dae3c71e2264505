import { expect } from 'chai';
import { FrameReader } from '../../src/vici/framing.ts';
import { expectThrows } from '../support/vici.ts';

const two = Buffer.from('\x00\x00\x00\x03one\x00\x00\x00\x05three', 'latin1');
const texts = (frames: Iterable<Buffer>) => [...frames].map((frame) => frame.toString('latin1'));

describe('vici framing', () => {
  it('vici framing cuts a chunk of several frames', () => {
    const reader = new FrameReader();
    expect(texts(reader.push(two))).to.deep.equal(['one', 'three']);
    expect(reader.isAtBoundary).to.equal(true);
  });

  it('vici framing joins frames that come byte by byte', () => {
    const reader = new FrameReader();
    const frames = [...two].flatMap((byte) => texts(reader.push(Buffer.of(byte))));
    expect(frames).to.deep.equal(['one', 'three']);
  });

  it('vici framing gives the same frames wherever the stream is cut in two', () => {
    for (let cut = 0; cut <= two.length; cut++) {
      const reader = new FrameReader();
      const frames = [two.subarray(0, cut), two.subarray(cut)].flatMap((chunk) => texts(reader.push(chunk)));
      expect(frames, `cut at ${cut}`).to.deep.equal(['one', 'three']);
    }
  });

  it('vici framing knows whether the stream ended between frames', () => {
    for (let length = 0; length <= two.length; length++) {
      const reader = new FrameReader();
      texts(reader.push(two.subarray(0, length)));
      expect(reader.isAtBoundary, `${length} bytes`).to.equal([0, 7, two.length].includes(length));
    }
  });

  it('vici framing copies: a chunk may be overwritten when it was taken', () => {
    const reader = new FrameReader();
    const chunk = Buffer.from(two);
    const frames = [...reader.push(chunk)];
    chunk.fill(0);
    expect(texts(frames)).to.deep.equal(['one', 'three']);
  });

  it('vici framing refuses a frame over the limit by its header, and takes one at the limit', () => {
    expect(texts(new FrameReader(5).push(two))).to.deep.equal(['one', 'three']);
    expectThrows('too-big', () => texts(new FrameReader(4).push(two)));
    expectThrows('too-big', () => texts(new FrameReader().push(Buffer.from('00080001', 'hex'))));
    expectThrows('too-big', () => texts(new FrameReader().push(Buffer.from('ffffffff', 'hex'))));
  });

  it('vici framing refuses a frame of no bytes', () => {
    expectThrows('malformed', () => texts(new FrameReader().push(Buffer.alloc(4))));
  });
});
