import type { Command } from 'commander';
import { renderFilters } from '../observe/views/filters.ts';
import { askCommand } from './ask.ts';

export function filtersCommand(): Command {
  return askCommand('filters', 'rules of the inbound filters, and packets by rule', renderFilters);
}
