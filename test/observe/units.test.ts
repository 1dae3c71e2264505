import { expect } from 'chai';
import { formatBytes, formatDuration, formatProtocol, formatUse } from '../../src/observe/views/units.ts';

describe('units', () => {
  for (const [bytes, want] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [1_572_864, '1.5 MiB'],
    [2 ** 53, '8.0 PiB'],
    [2 ** 60, '1024.0 PiB'],
  ] as const) {
    it(`formatBytes writes ${bytes} as ${want}`, () => {
      expect(formatBytes(bytes)).to.equal(want);
    });
  }

  for (const [durationMs, want] of [
    [undefined, '-'],
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1 s'],
    [59_999, '59 s'],
    [200_000, '3 m 20 s'],
    [18_120_000, '5 h 2 m'],
    [273_600_000, '3 d 4 h'],
  ] as const) {
    it(`formatDuration writes ${durationMs} as ${want}`, () => {
      expect(formatDuration(durationMs)).to.equal(want);
    });
  }

  it('formatUse names only the limits that there are', () => {
    expect(formatUse(5, { soft: 0, hard: 0 }, String)).to.equal('5');
    expect(formatUse(5, { soft: 8, hard: 0 }, String)).to.equal('5 of 8 soft');
    expect(formatUse(5, { soft: 8, hard: 9 }, String)).to.equal('5 of 8 soft, 9 hard');
  });

  it('formatProtocol writes a number it has no name for', () => {
    expect([1, 6, 17, 132].map(formatProtocol)).to.deep.equal(['icmp', 'tcp', 'udp', '132']);
  });
});
