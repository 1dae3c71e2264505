import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { mutate, readMutants } from './list.ts';

const mutants = readMutants(`${PROJECT_ROOT}/test/mutants`);

describe('the list of mutants', () => {
  it('has at least 15', () => expect(mutants.length).to.be.at.least(15));

  for (const mutant of mutants) {
    it(`names a place and tests that are there: ${mutant.name}`, () => {
      const text = readFileSync(`${PROJECT_ROOT}/${mutant.file}`, 'utf8');
      expect(mutate(text, mutant)).to.not.equal(text);
      for (const test of mutant.tests) expect(existsSync(`${PROJECT_ROOT}/${test}`), test).to.equal(true);
    });
  }

  it('refuses a mutant whose place is not there, or there twice', () => {
    const mutant = { name: 'x', breaks: 'x', file: 'f', find: 'a', replace: 'b', tests: ['t'] };
    expect(mutate('xax', mutant)).to.equal('xbx');
    expect(() => mutate('xx', mutant)).to.throw('occurs 0 times in f');
    expect(() => mutate('aa', mutant)).to.throw('occurs 2 times in f');
  });
});
