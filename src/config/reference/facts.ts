import { stringify } from 'yaml';
import type { Option } from './options.ts';

/** `value` on one line of YAML. */
export function inlineYaml(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}

/** What holds without the option, in Markdown; empty for a section, whose keys say it. */
export function withoutIt(option: Option): string {
  if (option.isRequired) return 'required';
  if (option.default !== undefined) return `\`${inlineYaml(option.default)}\``;
  return option.absent ?? '';
}

/** What takes it to change the option while the agent runs. */
export function changeOf({ reload }: Option): string {
  return reload === 'hot' ? 'reload' : 'restart';
}

/** Values, default and change of the option, in a line of plain text. */
export function factsOf(option: Option): string {
  const without = withoutIt(option);
  const said = option.isRequired || without === '' ? without : `default: ${without}`;
  return [option.kind, said, changeOf(option)]
    .filter((part) => part !== '')
    .join('; ')
    .replaceAll('`', '');
}
