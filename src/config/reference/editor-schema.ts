import type { InputSchema } from '../option.ts';
import { factsOf } from './facts.ts';
import { flatten, type Option, optionsOf, type Role, ROLES } from './options.ts';

/**
 * JSON Schema of both roles for editors: draft 7, which all of them know. The role decides which half counts, so that
 * what an editor offers and refuses is about that role only. What contradicts something elsewhere in the file it
 * cannot tell; `dvipa check-config` does.
 */
export function editorSchema(): InputSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    // No title: the language server would put it above, and into, all that it says of any option.
    type: 'object',
    properties: { role: { enum: [...ROLES], description: 'What this host is.' } },
    required: ['role'],
    allOf: ROLES.map((role) => ({
      if: { properties: { role: { const: role } }, required: ['role'] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { $ref: `#/definitions/${role}` },
    })),
    definitions: Object.fromEntries(ROLES.map((role) => [role, schemaOf(role)])),
  };
}

function schemaOf(role: Role): InputSchema {
  const options = optionsOf(role);
  const known = new Map(flatten(options).map((option) => [option.schema, option]));
  return {
    type: 'object',
    properties: Object.fromEntries(options.map(({ key, schema }) => [key, standard(schema, known)])),
    required: options.filter(({ isRequired }) => isRequired).map(({ key }) => key),
    additionalProperties: false,
  };
}

/** Without our own words, which are in the description instead: some validators refuse keywords that they do not know. */
function standard(schema: InputSchema, known: ReadonlyMap<InputSchema, Option>): InputSchema {
  const { kind: _kind, absent: _absent, reload: _reload, implied, example, ...rest } = schema;
  const option = known.get(schema);
  const inner = (each: unknown) => standard(each as InputSchema, known);
  return {
    ...rest,
    ...(option && { description: `${option.description} (${factsOf(option)})` }),
    ...(implied !== undefined && { default: implied }),
    ...(example !== undefined && { examples: [example] }),
    // Not every validator's regular expressions know classes of Unicode.
    ...(rest.pattern && { pattern: rest.pattern.replaceAll('\\p{Cc}', '\\u0000-\\u001f\\u007f-\\u009f') }),
    ...(rest.properties && {
      properties: Object.fromEntries(
        Object.entries(rest.properties).map(([key, each]) => [key, inner(each)]),
      ),
    }),
    ...(rest.items && { items: inner(rest.items) }),
    ...(rest.anyOf && { anyOf: rest.anyOf.map(inner) }),
    ...(typeof rest.additionalProperties === 'object' && {
      additionalProperties: inner(rest.additionalProperties),
    }),
  };
}
