import type { Command } from 'commander';
import { renderLifesize } from '../observe/views/lifesize.ts';
import { askCommand } from './ask.ts';

export function lifesizeCommand(): Command {
  return askCommand(
    'lifesize',
    'use of SAs against their limits, credits, what was learned, and rekeys by reason',
    renderLifesize,
  );
}
