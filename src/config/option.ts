import { z } from 'zod';

/**
 * What a schema says of an option besides what it accepts. Editors, the tables of docs/configuration.md and the
 * commented examples are made from it (`reference/`).
 */
declare module 'zod' {
  interface GlobalMeta {
    /** What the option means: one or two sentences, for an operator. */
    description?: string | undefined;
    /** What a value is, in a few words and with its unit; said only where the JSON Schema cannot tell. */
    kind?: string | undefined;
    /** The value that holds without it, where the schema itself has no default. */
    implied?: unknown;
    /** What holds without it, where that is no value that could be written. */
    absent?: string | undefined;
    /**
     * `hot`: a change takes effect by `dvipa reload`; `restart`: the agent has to be restarted. What a part does not
     * say, the part around it does.
     */
    reload?: 'hot' | 'restart' | undefined;
    /** The value in the commented example, if there is no default. */
    example?: unknown;
  }
}

/** A node of a JSON Schema (draft 7), with our own words in it. */
export type InputSchema = z.core.JSONSchema.BaseSchema;

/** What `schema` accepts, before any transformation, as JSON Schema. Throws what zod throws for a schema that is none. */
export function inputOf(schema: z.ZodType): InputSchema {
  const { $schema: _, ...input } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-07',
    unrepresentable: 'any',
  });
  return input;
}
