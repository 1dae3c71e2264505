import { factsOf } from '../../config/reference/facts.ts';
import { flatten, optionsOf, type Role } from '../../config/reference/options.ts';
import { scdocText } from './scdoc.ts';

/** The keys of a configuration file, as dvipa.yaml(5) has them, in scdoc's language. */
export function manOfOptions(role: Role): string {
  return flatten(optionsOf(role))
    .map(
      (option) =>
        `*${scdocText(option.path)}*\n\t${scdocText(option.description)}\n\n\t${scdocText(factsOf(option))}\n`,
    )
    .join('\n');
}
