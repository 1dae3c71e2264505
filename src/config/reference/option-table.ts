import { changeOf, withoutIt } from './facts.ts';
import { flatten, type Option, optionsOf, ROLES } from './options.ts';

/** The page with each table of options made anew; the prose around them stays. Throws if a place for one is missing. */
export function withTables(page: string): string {
  let made = page;
  for (const role of ROLES) {
    const [start, end] = [`<!-- options of ${role}: made by \`npm run docs\` -->`, `<!-- end of ${role} -->`];
    const [from, to] = [made.indexOf(start), made.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`no place for the table between ${start} and ${end}`);
    made = `${made.slice(0, from)}${start}\n\n${tableOf(optionsOf(role))}\n\n${made.slice(to)}`;
  }
  return made;
}

function tableOf(options: readonly Option[]): string {
  const rows = flatten(options).map((option) => [
    `\`${option.path}\``,
    option.kind,
    withoutIt(option),
    option.description,
    changeOf(option),
  ]);
  return [['key', 'value', 'without it', 'meaning', 'change'], Array(5).fill('---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}
