import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const mutantSchema = z.strictObject({
  /** What `make mutants NAME` and the report call it. */
  name: z.string().regex(/^[a-z0-9-]+$/),
  /** The rule that it breaks, as a sentence. */
  breaks: z.string(),
  file: z.string(),
  /** Occurs exactly once in the file, or the list is out of date. */
  find: z.string().min(1),
  replace: z.string(),
  /** Test files of which at least one test must fail. */
  tests: z.array(z.string()).min(1),
});

export type Mutant = z.infer<typeof mutantSchema>;

/** Reads the kept lists, every YAML file of the folder; throws if one is not as it should be, or a name is there twice. */
export function readMutants(folder: string): Mutant[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .toSorted();
  const mutants = files.flatMap((file) => {
    const list = z.array(mutantSchema).safeParse(parse(readFileSync(join(folder, file), 'utf8')));
    if (!list.success) throw new Error(`${file}: ${z.prettifyError(list.error)}`);
    return list.data;
  });
  const names = mutants.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`${folder}: mutant ${twice} is there twice`);
  return mutants;
}

/** The file's text with the mutant in it; throws if its place is not there exactly once. */
export function mutate(text: string, { name, file, find, replace }: Mutant): string {
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(`mutant ${name}: its place occurs ${places} times in ${file}, expected once`);
  return text.replace(find, () => replace);
}
