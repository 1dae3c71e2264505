import type { Command } from 'commander';
import { renderDrops } from '../observe/views/drops.ts';
import { askCommand } from './ask.ts';

export function dropsCommand(): Command {
  return askCommand('drops', 'dropped packets by reason', renderDrops);
}
