import { readFileSync } from 'node:fs';
import { PROJECT_ROOT } from '../../src/lab/program.ts';

export interface PageExample {
  /** e.g. `example1`, in the order of the page. */
  readonly name: string;
  readonly code: string;
  /** Matches what the page says that the example prints; `...` stands for anything in a line. */
  readonly prints: RegExp;
}

/** The TypeScript blocks of a page, each with the block `text` that follows it. */
export function examplesOf(page: string): PageExample[] {
  const text = readFileSync(`${PROJECT_ROOT}/${page}`, 'utf8');
  const blocks = [...text.matchAll(/```ts\n([^]*?)```[^]*?```text\n([^]*?)```/g)];
  return blocks.map(([, code = '', output = ''], index) => ({
    name: `example${index + 1}`,
    code,
    prints: new RegExp(`^${output.replaceAll(/[^\w\s]/g, '\\$&').replaceAll('\\.\\.\\.', '.*')}$`),
  }));
}
