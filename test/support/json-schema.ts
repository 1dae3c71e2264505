import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A definition of docs/cli.schema.json, such as `dvipa sas`, and a document that should be of its form. */
export type Answer = readonly [definition: string, document: unknown];

interface Schema {
  readonly $defs: Readonly<Record<string, object>>;
}

const CLI_SCHEMA = JSON.parse(
  readFileSync(new URL('../../docs/cli.schema.json', import.meta.url), 'utf8'),
) as Schema;

/** Commands that docs/cli.schema.json describes. */
export const DESCRIBED = Object.keys(CLI_SCHEMA.$defs).filter((name) => name.startsWith('dvipa '));

/** Judges by python3-jsonschema: an implementation that is not ours. */
const JUDGE = `
import json, sys
from jsonschema import Draft202012Validator as Validator
given = json.load(sys.stdin)
Validator.check_schema(given["schema"])
for name, document in given["answers"]:
    schema = {"$defs": given["schema"]["$defs"], "$ref": "#/$defs/" + name.replace(" ", "%20")}
    for error in Validator(schema).iter_errors(document):
        print(name, error.json_path + ":", error.message)
`;

/** What is missing to judge; undefined: nothing. */
export function missingForSchemas(): string | undefined {
  const { status } = spawnSync('/usr/bin/python3', ['-c', 'import jsonschema']);
  return status === 0 ? undefined : 'python3-jsonschema is not installed (scripts/setup test installs it)';
}

/**
 * What is wrong with these answers, a line each. Strictly: a key that the schema does not describe is wrong too, so that
 * the schema knows all we say. Others may say more than it knows.
 */
export function schemaViolations(answers: readonly Answer[], { isStrict = true } = {}): string[] {
  const input = JSON.stringify({ schema: isStrict ? closed(CLI_SCHEMA) : CLI_SCHEMA, answers });
  const judged = spawnSync('/usr/bin/python3', ['-c', JUDGE], { input, encoding: 'utf8' });
  if (judged.status !== 0) throw new Error(`the judge of JSON schemas failed: ${judged.stderr}`);
  return judged.stdout.split('\n').filter((line) => line !== '');
}

/** The schema with no room for keys that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, closed(part)]));
  return 'properties' in schema ? { additionalProperties: false, ...parts } : parts;
}
