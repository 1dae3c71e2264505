import type { Command } from 'commander';
import { renderSas } from '../observe/views/sas.ts';
import { askCommand } from './ask.ts';

export function sasCommand(): Command {
  return askCommand('sas', 'SAs with their use, limits, and where they are installed', renderSas);
}
