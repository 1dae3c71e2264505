import { readFileSync, writeFileSync } from 'node:fs';
import { commandTree } from '../command-tree.ts';
import { buildProgram } from '../program.ts';
import { PAGES } from './pages.ts';

/** `npm run docs`: writes what is made from the commands. */
const program = commandTree(buildProgram());
for (const { path, fill } of PAGES) {
  const url = new URL(`../../../${path}`, import.meta.url);
  const before = readFileSync(url, 'utf8');
  const after = fill(before, program);
  if (after !== before) {
    writeFileSync(url, after);
    console.log(path);
  }
}
