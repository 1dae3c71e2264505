/** `npm run docs`: writes what is made from the schema of the configuration. */
import { readFileSync, writeFileSync } from 'node:fs';
import { PAGE, referenceFiles } from './files.ts';

const project = new URL('../../../', import.meta.url);

for (const [path, text] of referenceFiles(readFileSync(new URL(PAGE, project), 'utf8'))) {
  writeFileSync(new URL(path, project), text);
}
