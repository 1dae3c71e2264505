import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Top folder of this checkout: src/lab and dist/lab are equally deep. */
export const PROJECT_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/**
 * The command line that runs one of our own programs (a path under src/ without extension): from source when we
 * ourselves run from source (tests), else what was built.
 */
export function ownProgram(path: string): string[] {
  return import.meta.url.endsWith('.ts')
    ? [process.execPath, '--import', sourceLoader(), `${PROJECT_ROOT}/src/${path}.ts`]
    : [process.execPath, `${PROJECT_ROOT}/dist/${path}.js`];
}

/** The command line of `dvipa` with these arguments. */
export function dvipaCommand(...args: readonly string[]): string[] {
  return [...ownProgram('cli/main'), ...args];
}

/** Where `node --import` finds tsx, from any working directory. */
export function sourceLoader(): string {
  return pathToFileURL(createRequire(`${PROJECT_ROOT}/package.json`).resolve('tsx')).href;
}
