import type { Command } from 'commander';
import { renderSas } from '../observe/views/sas.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function sasCommand(): Command {
  return withExamples(
    askCommand('sas', 'SAs with their use, limits, and where they are installed', renderSas),
    ['dvipa sas', 'a table'],
    ["dvipa sas --json | jq '.[] | select(.isAttacked)'", 'those of which packets are forged in masses'],
  );
}
