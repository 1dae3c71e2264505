import type { Command } from 'commander';
import { renderConnections } from '../observe/views/connections.ts';
import { askCommand } from './ask.ts';

export function connectionsCommand(): Command {
  return askCommand('connections', 'the distributed connection table', renderConnections);
}
