import { ROLES } from '../../config/reference/options.ts';
import type { CommandEntry } from '../command-tree.ts';
import { manOfOptions } from './man-options.ts';
import { manOfCommands } from './man-page.ts';
import { fillRegion } from './marked-region.ts';
import { markdownOfCommands } from './markdown.ts';

interface Page {
  /** In the project's folder. */
  readonly path: string;
  /** The page with that part as it is now. */
  readonly fill: (page: string, program: CommandEntry) => string;
}

const COMMANDS = ['commands: made by `npm run docs`', 'end of commands'] as const;

/** Pages of which a part is made from the commands, or from the schema of the configuration. */
export const PAGES: readonly Page[] = [
  {
    path: 'docs/man/dvipa.1.scd',
    fill: (page, program) => fillRegion(page, ...COMMANDS, manOfCommands(program)),
  },
  {
    path: 'docs/man/dvipa.yaml.5.scd',
    fill: (page) =>
      ROLES.reduce((filled, role) => {
        const marks = [`options of ${role}: made by \`npm run docs\``, `end of ${role}`] as const;
        return fillRegion(filled, ...marks, manOfOptions(role));
      }, page),
  },
  {
    path: 'docs/cli.md',
    fill: (page, program) => fillRegion(page, ...COMMANDS, markdownOfCommands(program)),
  },
];
