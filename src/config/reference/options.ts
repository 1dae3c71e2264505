import type { z } from 'zod';
import { inputOf, type InputSchema } from '../option.ts';
import { routeFile } from '../route-file.ts';
import { targetFile } from '../target.ts';

export type Role = 'route' | 'target';
export const ROLES: readonly Role[] = ['route', 'target'];

/** One key of a configuration file, as its schema describes it. */
export interface Option {
  readonly key: string;
  /** From the top of the file, `[]` for any entry of a list: `dvipas[].rules[].action`. */
  readonly path: string;
  readonly description: string;
  /** What its value is, in Markdown. */
  readonly kind: string;
  readonly isRequired: boolean;
  /** Undefined: it has none that could be written. */
  readonly default: unknown;
  /** What holds without it, in words; undefined: the default does. */
  readonly absent: string | undefined;
  readonly reload: 'hot' | 'restart';
  /** A value to show; undefined: the default, or what `children` make up. */
  readonly example: unknown;
  /** Whether `children` are those of each entry. */
  readonly isList: boolean;
  /** Keys of a section, or of each entry of a list of mappings. */
  readonly children: readonly Option[];
  readonly schema: InputSchema;
}

/** Keys of a whole file, in its order. */
export function optionsOf(role: Role): readonly Option[] {
  return describedKeys(role === 'route' ? routeFile : targetFile);
}

/** Keys of a schema. Throws if one lacks a description, a word on reload, or what holds without it. */
export function describedKeys(schema: z.ZodType): readonly Option[] {
  return optionsIn(inputOf(schema), '', undefined);
}

/** All of `options` with their children, each before its own. */
export function flatten(options: readonly Option[]): readonly Option[] {
  return options.flatMap((option) => [option, ...flatten(option.children)]);
}

function optionsIn(around: InputSchema, prefix: string, reload: Option['reload'] | undefined): Option[] {
  return Object.entries(around.properties ?? {}).map(([key, schema]) => {
    if (typeof schema === 'boolean') throw new TypeError(`${prefix}${key}: has no schema`);
    return optionOf(key, schema, around.required?.includes(key) === true, prefix, reload);
  });
}

function optionOf(
  key: string,
  schema: InputSchema,
  isRequired: boolean,
  prefix: string,
  around: Option['reload'] | undefined,
): Option {
  const path = `${prefix}${key}`;
  const { description, absent } = schema;
  const fallback = schema.default ?? schema['implied'];
  const reload = (schema['reload'] as Option['reload'] | undefined) ?? around;
  if (description === undefined) throw new TypeError(`${path}: has no description`);
  if (reload === undefined) throw new TypeError(`${path}: does not say whether a change needs a restart`);
  if (!isRequired && fallback === undefined && absent === undefined) {
    throw new TypeError(`${path}: has neither a default nor words for what holds without it`);
  }
  const items = itemsOf(schema);
  return {
    key,
    path,
    description,
    kind: kindOf(schema),
    isRequired,
    // What is written of a section by default is what its keys are.
    default: schema.properties === undefined ? fallback : undefined,
    absent: absent as string | undefined,
    reload,
    example: schema['example'],
    isList: items !== undefined,
    children: optionsIn(items ?? schema, `${path}${items === undefined ? '.' : '[].'}`, reload),
    schema,
  };
}

function itemsOf({ items }: InputSchema): InputSchema | undefined {
  return typeof items === 'object' && !Array.isArray(items) ? items : undefined;
}

function kindOf(schema: InputSchema): string {
  const { kind, minItems, maxItems } = schema;
  if (typeof kind === 'string') return kind;
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((each) => `\`${String(each)}\``).join(', ');
  if (schema.type === 'boolean') return '`true`, `false`';
  const items = itemsOf(schema);
  if (items !== undefined) return `list of ${minItems} to ${maxItems}: ${kindOf(items)}`;
  if (schema.type === 'object') return 'mapping';
  throw new TypeError(`no words for the values of ${JSON.stringify(schema)}`);
}
