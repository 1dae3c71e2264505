import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { readGarbage, TRACED } from './garbage.ts';

describe('the garbage of a process', () => {
  it('is what its log says of a time, and as much for each collection as there is between two', () => {
    const log = [
      'info agent started',
      '[7:0x2f31dc00]       36 ms: Scavenge 4.0 (4.2) -> 3.5 (5.2) MB, 2.25 / 0.00 ms  (average mu = 1.000) allocation failure; ',
      'info [8:0x1] 1 ms: Scavenge 9.0',
      '[7:0x2f31dc00]      136 ms: Mark-Compact (reduce) 6.5 (8.0) -> 3.0 (8.0) MB, 5.50 / 0.00 ms  (+ 1.1 ms in 3 steps) task; ',
      '[7:0x2f31dc00]      200 ms: Scavenge 4.0 (8.0) -> 3.0 (8.0) MB, pooled: 0.0 MB, 0.25 / 0.00 ms  (average mu = 1.000) task; ',
    ].join('\n');
    const growth = ((3 + 1) / 2) * 1024 * 1024;
    expect(readGarbage(log)).to.deep.equal({ collections: 3, ms: 8, bytes: 3 * growth });
    const from = log.indexOf('Mark');
    expect(readGarbage(log, from)).to.deep.equal({ collections: 1, ms: 0.25, bytes: 1024 * 1024 });
    expect(readGarbage('')).to.deep.equal({ collections: 0, ms: 0, bytes: 0 });
  });

  it('is read of what this Node.js writes', () => {
    const code = 'let kept; for (let i = 0; i < 2e6; i++) kept = { i, before: [i] };';
    const log = execFileSync(process.execPath, ['-e', code], {
      encoding: 'latin1',
      env: { ...process.env, NODE_OPTIONS: TRACED },
    });
    const { collections, bytes } = readGarbage(log);
    expect(collections).to.be.above(1);
    expect(bytes).to.be.above(10e6);
  });
});
