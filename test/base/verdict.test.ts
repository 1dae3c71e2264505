import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DROP_REASONS, DropCounters, ELSEWHERE, KEEP, SENT, verdictOf } from '../../src/base/verdict.ts';

const SRC = new URL('../../src/', import.meta.url);

describe('drop reasons', () => {
  it('each can happen: some file of src gives it', () => {
    const text = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('verdict.ts'))
      .map((file) => readFileSync(new URL(file, SRC), 'utf8'))
      .join('\n');
    expect(DROP_REASONS.slice(1).filter((reason) => !text.includes(`'${reason}'`))).to.deep.equal([]);
  });

  it('have one number each, which fits a byte beside KEEP, SENT and ELSEWHERE', () => {
    const numbers = DROP_REASONS.slice(1).map(verdictOf);
    expect(new Set([...numbers, KEEP, SENT, ELSEWHERE]).size).to.equal(numbers.length + 3);
    expect(Math.max(...numbers)).to.be.lessThan(250);
  });

  it('are counted under their own names, zeros included, and never go back', () => {
    const drops = new DropCounters();
    drops.count('icv');
    drops.add(verdictOf('replay'), 3);
    const json = drops.toJSON();
    expect(Object.keys(json)).to.deep.equal(DROP_REASONS.slice(1));
    expect(Object.entries(json).filter(([, count]) => count > 0)).to.deep.equal([
      ['replay', 3],
      ['icv', 1],
    ]);
  });
});
