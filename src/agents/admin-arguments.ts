import { z } from 'zod';

/** What a client of the admin socket sent beside the command: anything. */
export type GivenArguments = Readonly<Record<string, unknown>>;

/** Throws an Error that names the argument and what was expected. */
export function parseArguments<T>(schema: z.ZodType<T>, given: GivenArguments): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new Error(`wrong arguments: ${lines.join('; ')}`);
}

const none = z.strictObject({});

/** The handler of a command that takes no arguments. */
export function withoutArguments<Answer>(answer: () => Answer): (given?: GivenArguments) => Answer {
  return (given = {}) => {
    parseArguments(none, given);
    return answer();
  };
}

export const addressArgument = z.union([z.ipv4(), z.ipv6()], { error: 'expected an IP address' });

/** As in the configuration; what is no target is told by who looks for it. */
export const hostArgument = z.string().min(1).max(253);
