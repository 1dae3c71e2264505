import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { byteStream, byteStreamSha256, MARKER_EVERY_BYTES } from '../../src/lab/byte-stream.ts';

const collect = (count: number, marker?: string) => Buffer.concat([...byteStream(count, marker)]);

describe('lab byte stream', () => {
  it('has exactly the length asked for, also around its chunk size', () => {
    for (const count of [0, 1, 511, 65_535, 65_536, 65_537, 200_000])
      expect(collect(count).length).to.equal(count);
  });

  it('is the same every time, and a shorter one is the start of a longer one', () => {
    expect(collect(100_000).equals(collect(100_000))).to.equal(true);
    expect(collect(200_000).subarray(0, 100_000).equals(collect(100_000))).to.equal(true);
  });

  it('carries the marker every 512 bytes and nothing like it without', () => {
    const marked = collect(1_000_000, 'MARKER-1234');
    let found = 0;
    for (let at = marked.indexOf('MARKER-1234'); at >= 0; at = marked.indexOf('MARKER-1234', at + 1))
      found += 1;
    expect(found).to.equal(Math.ceil(1_000_000 / MARKER_EVERY_BYTES));
    expect(collect(1_000_000).includes('MARKER-1234')).to.equal(false);
  });

  it('is told with its SHA-256', () => {
    const digest = createHash('sha256').update(collect(300_000, 'm')).digest('hex');
    expect(byteStreamSha256(300_000, 'm')).to.equal(digest);
    expect(byteStreamSha256(300_000, 'n')).to.not.equal(digest);
  });
});
