import type { Command } from 'commander';
import { renderConnections } from '../observe/views/connections.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function connectionsCommand(): Command {
  return withExamples(
    askCommand('connections', 'the distributed connection table', renderConnections),
    ['dvipa connections', 'a table'],
    ['dvipa connections --json | jq \'.[] | select(.target == "target1")\'', 'those of one target'],
  );
}
