import type { Command } from 'commander';
import { renderFilters } from '../observe/views/filters.ts';
import { askCommand } from './ask.ts';
import { withExamples } from './examples.ts';

export function filtersCommand(): Command {
  return withExamples(
    askCommand('filters', 'rules of the inbound filters, and packets by rule', renderFilters),
    ['dvipa filters', 'rules in their order, with counts'],
  );
}
