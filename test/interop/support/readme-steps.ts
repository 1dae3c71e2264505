import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';

/** A block of commands of a page, as it stands there. */
export interface ReadmeStep {
  /** From its first line, `# on target1 and target2`. */
  readonly hosts: readonly string[];
  readonly script: string;
}

const BLOCK = /^```sh\n# on ([^\n]+)\n(.*?)^```$/gms;

/** The blocks that a section of README.md has for its hosts, in their order. */
export function readmeSteps(heading: string): ReadmeStep[] {
  const page = readFileSync(join(PROJECT_ROOT, 'README.md'), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(BLOCK)].map(([, hosts = '', script = '']) => ({
    hosts: hosts.split(' and '),
    script,
  }));
}
