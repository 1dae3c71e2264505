import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../../src/lab/run.ts';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';

const SOURCES = join(PROJECT_ROOT, 'test/bench/support');
const BUILT = join(PROJECT_ROOT, 'build/bench');

export interface Tools {
  readonly flood: string;
  readonly inject: string;
}

/** The load generators, compiled. */
export async function buildTools(): Promise<Tools> {
  mkdirSync(BUILT, { recursive: true });
  const [flood, inject] = [join(BUILT, 'flood'), join(BUILT, 'inject')];
  const compile = ['cc', '-O2', '-Wall', '-Wextra', '-o'];
  await must([...compile, flood, join(SOURCES, 'flood.c'), '-lcrypto']);
  await must([...compile, inject, join(SOURCES, 'inject.c')]);
  return { flood, inject };
}
