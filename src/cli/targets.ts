import type { Command } from 'commander';
import { renderTargets } from '../observe/views/targets.ts';
import { askCommand } from './ask.ts';

export function targetsCommand(): Command {
  return askCommand('targets', 'targets of this routing host and their state', renderTargets);
}
