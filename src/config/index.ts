import { checkText, type Config } from './check.ts';
import { fileProblems, readConfigFile } from './files.ts';
import { ConfigError } from './problem.ts';

export type { Config } from './check.ts';
export { type ConfigChange, configChanges } from './config-changes.ts';
export { ConfigError } from './problem.ts';
export type { FastPathConfig } from './fast-path.ts';
export type { DvipaConfig, FilterRule, RouteConfig } from './route.ts';
export type { TargetConfig } from './target.ts';

/** Text of a configuration, checked without a look at other files. Throws only `ConfigError`. */
export function parseConfig(text: string, file: string): Config {
  return checkText(text, file).config;
}

export interface LoadOptions {
  /** False: the certificate and key files are not looked at (they may lie on another host). */
  readonly looksAtFiles?: boolean;
}

/**
 * Reads and checks a configuration file and the files it names, and returns it frozen, defaults filled in.
 * Throws only `ConfigError`, with every problem at once.
 */
export function loadConfig(file: string, { looksAtFiles = true }: LoadOptions = {}): Config {
  const { config, document } = checkText(readConfigFile(file), file);
  const problems = looksAtFiles ? fileProblems(config.coupling, document) : [];
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}
