import type { Command } from 'commander';
import { renderTargets } from '../observe/views/targets.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function targetsCommand(): Command {
  return withExamples(
    askCommand('targets', 'targets of this routing host and their state', renderTargets),
    ['dvipa targets', 'a table'],
    ['dvipa targets --json | jq \'.[] | select(.state != "up")\'', 'those that are not there'],
  );
}
