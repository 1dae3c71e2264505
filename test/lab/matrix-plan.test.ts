import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { SUITES, WRAPPINGS } from '../interop/support/matrix/cells.ts';
import { exampleOf, OBSTACLES, PEERS, planMatrix } from '../interop/support/matrix/plan.ts';
import { renderPage } from '../interop/support/matrix/table.ts';

describe('plan of the interoperability matrix', () => {
  const plan = planMatrix();

  it('has every suite in the base wrapping, and each with the shortest key in all of them, for every peer', () => {
    const shortest = SUITES.filter(({ isShortest }) => isShortest).length;
    expect([SUITES.length, shortest, WRAPPINGS.length]).to.deep.equal([64, 26, 24]);
    for (const peer of PEERS) {
      const cells = plan.filter((cell) => cell.peer === peer);
      expect(cells).to.have.length(shortest * WRAPPINGS.length + SUITES.length - shortest);
      expect(new Set(cells.map(({ suite }) => suite.proposal)).size).to.equal(SUITES.length);
    }
  });

  it('gives every cell a port of its own, of those that the filter of scenario `matrix` lets pass', () => {
    const ports = plan.map(({ port }) => port);
    expect(new Set(ports).size).to.equal(ports.length);
    expect([Math.min(...ports) >= 20_000, Math.max(...ports) <= 29_999]).to.deep.equal([true, true]);
  });

  it('has a cell to prove each obstacle by', () => {
    for (const peer of PEERS) {
      for (const obstacle of OBSTACLES[peer]) expect(exampleOf(obstacle, plan)?.obstacle).to.equal(obstacle);
    }
  });

  it('is what docs/interoperability.md shows; a failed cell would show there', () => {
    const page = readFileSync(join(PROJECT_ROOT, 'docs/interoperability.md'), 'utf8');
    expect(renderPage(plan, new Map())).to.equal(page);
    const [first] = plan;
    if (first === undefined) throw new Error('empty plan');
    expect(renderPage(plan, new Map([[first, 'no CHILD_SA']]))).to.contain('| ✗ ');
  });
});
