import type { CommandEntry } from '../command-tree.ts';
import { manOfCommands } from './man-page.ts';
import { fillRegion } from './marked-region.ts';
import { markdownOfCommands } from './markdown.ts';

interface Page {
  /** In the project's folder. */
  readonly path: string;
  /** The page with its commands as they are now. */
  readonly fill: (page: string, program: CommandEntry) => string;
}

const MARKS = ['commands: made by scripts/man', 'end of commands'] as const;

/** Pages of which a part is made from the commands. */
export const PAGES: readonly Page[] = [
  {
    path: 'docs/man/dvipa.1.scd',
    fill: (page, program) => fillRegion(page, ...MARKS, manOfCommands(program)),
  },
  {
    path: 'docs/cli.md',
    fill: (page, program) => fillRegion(page, ...MARKS, markdownOfCommands(program)),
  },
];
