import type { Command } from 'commander';
import { renderDvipas } from '../observe/views/dvipas.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function dvipasCommand(): Command {
  return withExamples(
    askCommand('dvipas', 'DVIPAs of this host: targets, distribution, source ports, listeners', renderDvipas),
    ['dvipa dvipas', 'a paragraph for each'],
    ["dvipa dvipas --json | jq '.[].targets[] | {host, busyPerMille}'", 'how busy the targets are'],
  );
}
