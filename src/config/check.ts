import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { type ConfigDocument, type KeyPath, parseYaml } from './document.ts';
import { keysOf } from './fields.ts';
import { shortened } from './printable.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { routeFile } from './route-file.ts';
import { type RouteConfig, routeSchema } from './route.ts';
import { type TargetConfig, targetFile, targetSchema } from './target.ts';
import { unknownKeyMessage } from './unknown-key.ts';

export type Config = RouteConfig | TargetConfig;

/** Text to checked, frozen configuration, with the document for later complaints. Throws only `ConfigError`. */
export function checkText(text: string, file: string): { config: Config; document: ConfigDocument } {
  const document = parseYaml(text, file);
  const schema = schemaFor(document);
  const result = schema.safeParse(document.value);
  if (!result.success) {
    throw new ConfigError(result.error.issues.flatMap((issue) => problemsOf(issue, document)));
  }
  return { config: deepFreeze(resolvePaths(result.data, dirname(file))), document };
}

/** The role decides which keys there are, so it is looked at alone and first. */
function schemaFor(document: ConfigDocument) {
  const value = document.value;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError([
      document.problem([], `${shown(value)}, expected a mapping with role, host, dvipas ...`),
    ]);
  }
  const role: unknown = Object.hasOwn(value, 'role') ? (value as { role: unknown }).role : undefined;
  if (role === 'route') return routeSchema;
  if (role === 'target') return targetSchema;
  throw new ConfigError([document.problem(['role'], `${shown(role)}, expected one of route, target`)]);
}

function problemsOf(issue: z.core.$ZodIssue, document: ConfigDocument): ConfigProblem[] {
  const path = issue.path as KeyPath;
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(issue.message);
    const elsewhere = path.length === 0 ? otherRole(document.value) : undefined;
    return issue.keys.map((key) =>
      document.keyProblem([...path, key], unknownKeyMessage(key, known, elsewhere)),
    );
  }
  const found = shown(valueAt(document.value, path));
  // Contradictions start with "is ..."; field messages with "expected ...".
  const separator = issue.message.startsWith('expected') ? ', ' : ' ';
  return [document.problem(path, `${found}${separator}${issue.message}`)];
}

/** Keys of the role that this file is not of. */
function otherRole(value: unknown): { role: string; keys: string[] } {
  const isRoute = valueAt(value, ['role']) === 'route';
  const [role, file] = isRoute ? (['target', targetFile] as const) : (['route', routeFile] as const);
  return { role, keys: Object.keys(file.shape) };
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let at = value;
  for (const key of path) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string | number, unknown>)[key];
  }
  return at;
}

/** The value found, in a few words and never as a whole file. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'empty';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a mapping';
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return shortened(text);
}

function resolvePaths(config: Config, folder: string): Config {
  const { coupling, log } = config;
  return {
    ...config,
    coupling: {
      ...coupling,
      ca: resolve(folder, coupling.ca),
      certificate: resolve(folder, coupling.certificate),
      key: resolve(folder, coupling.key),
    },
    log: log.file === undefined ? log : { ...log, file: resolve(folder, log.file) },
    ...(config.role === 'route' &&
      config.keysExport && { keysExport: { file: resolve(folder, config.keysExport.file) } }),
  };
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object') {
    for (const part of Object.values(value)) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}
