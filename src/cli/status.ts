import type { Command } from 'commander';
import { renderStatus } from '../observe/views/status.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function statusCommand(): Command {
  return withExamples(
    askCommand('status', 'what this agent is, what it is connected to, its counters', renderStatus),
    ['dvipa status', 'a summary'],
    ['dvipa status --json | jq .counters', 'what went through this host'],
  );
}
