import type { Command } from 'commander';
import { renderNumbering } from '../observe/views/numbering.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function numberingCommand(): Command {
  return withExamples(
    askCommand('numbering', 'who may use which sequence numbers of each outbound SA', renderNumbering),
    ['dvipa numbering', 'on the routing host: all of it; on a target: what it holds'],
    ['dvipa numbering --json | jq \'.[] | select(.state == "blocked")\'', 'SAs that nothing is sent on'],
  );
}
