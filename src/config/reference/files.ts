import { commentedExample } from './commented-example.ts';
import { editorSchema } from './editor-schema.ts';
import { withTables } from './option-table.ts';

export const PAGE = 'docs/configuration.md';

/** What documents and editors have of the schema, by path in the project. `page`: the text of `PAGE` as it is. */
export function referenceFiles(page: string): ReadonlyMap<string, string> {
  return new Map([
    ['docs/dvipa.schema.json', `${JSON.stringify(editorSchema(), null, 2)}\n`],
    ['docs/examples/route.yaml', commentedExample('route')],
    ['docs/examples/target.yaml', commentedExample('target')],
    [PAGE, withTables(page)],
  ]);
}
