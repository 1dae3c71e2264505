import type { Command } from 'commander';
import { renderLifesize } from '../observe/views/lifesize.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function lifesizeCommand(): Command {
  return withExamples(
    askCommand(
      'lifesize',
      'use of SAs against their limits, credits, what was learned, and rekeys by reason',
      renderLifesize,
    ),
    ['dvipa lifesize', 'a summary'],
    ['dvipa lifesize --json | jq .rekeys', 'rekeys by reason'],
  );
}
