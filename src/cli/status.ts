import type { Command } from 'commander';
import { renderStatus } from '../observe/views/status.ts';
import { askCommand } from './ask.ts';

export function statusCommand(): Command {
  return askCommand('status', 'what this agent is, what it is connected to, its counters', renderStatus);
}
