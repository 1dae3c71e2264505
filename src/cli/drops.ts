import type { Command } from 'commander';
import { renderDrops } from '../observe/views/drops.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function dropsCommand(): Command {
  return withExamples(
    askCommand('drops', 'dropped packets by reason', renderDrops),
    ['dvipa drops', 'reasons for which packets were dropped'],
    ['dvipa drops --socket /run/dvipa/target.sock', 'of the target, where both agents run on one host'],
  );
}
