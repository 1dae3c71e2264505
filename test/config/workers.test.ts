import { expect } from 'chai';
import { parseConfig } from '../../src/config/index.ts';
import { TARGET_YAML } from './example.ts';
import { problemsOf } from './problems.ts';

const withWorkers = (value: string) => `workers: ${value}\n${TARGET_YAML}`;

describe('configuration of threads', () => {
  it('is auto, or a number of them', () => {
    expect(parseConfig(withWorkers('auto'), 'dvipa.yaml').workers).to.equal('auto');
    expect(parseConfig(withWorkers('64'), 'dvipa.yaml').workers).to.equal(64);
  });

  for (const value of ['0', '65', '1.5', '"2"', 'all', 'true']) {
    it(`is not ${value}`, () => {
      const [problem, ...others] = problemsOf(withWorkers(value));
      expect(problem).to.match(/^dvipa\.yaml:1:10: workers: .*, expected auto, or threads from 1 to 64$/);
      expect(others).to.deep.equal([]);
    });
  }
});
