import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { SUITES, WRAPPINGS } from '../interop/support/matrix/cells.ts';
import { exampleOf, OBSTACLES, pairsOf, PEERS, planMatrix } from '../interop/support/matrix/plan.ts';
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

  it('runs every suite every time, in wrappings of which every two properties that the peer can do come together', () => {
    for (const peer of PEERS) {
      for (const suite of SUITES) {
        const cells = plan.filter((cell) => cell.peer === peer && cell.suite === suite);
        const possible = cells.filter(({ obstacle }) => obstacle === undefined);
        const pairs = (some: typeof cells) =>
          [...new Set(some.flatMap(({ wrapping }) => pairsOf(wrapping)))].toSorted();
        const chosen = possible.filter(({ isEveryTime }) => isEveryTime);
        expect(pairs(chosen), `${peer} ${suite.proposal}`).to.deep.equal(pairs(possible));
      }
    }
  });

  it('runs every wrapping every time, with some suite, and no more than four in ten cells', () => {
    for (const peer of PEERS) {
      const possible = plan.filter((cell) => cell.peer === peer && cell.obstacle === undefined);
      const chosen = possible.filter(({ isEveryTime }) => isEveryTime);
      const wrappings = (some: typeof possible) => new Set(some.map(({ wrapping }) => wrapping)).size;
      expect(wrappings(chosen), peer).to.equal(wrappings(possible));
    }
    const possible = plan.filter(({ obstacle }) => obstacle === undefined);
    expect(possible.filter(({ isEveryTime }) => isEveryTime).length / possible.length).to.be.below(0.4);
  });

  it('is what docs/interoperability.md shows; a failed cell would show there', () => {
    const page = readFileSync(join(PROJECT_ROOT, 'docs/interoperability.md'), 'utf8');
    expect(renderPage(plan, new Map())).to.equal(page);
    const [first] = plan;
    if (first === undefined) throw new Error('empty plan');
    expect(renderPage(plan, new Map([[first, 'no CHILD_SA']]))).to.contain('| ✗ ');
  });
});
