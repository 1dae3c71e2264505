import { factsOf, inlineYaml } from './facts.ts';
import { type Option, optionsOf, type Role } from './options.ts';

const WIDTH = 110;

const HEAD = (role: Role) => `\
# yaml-language-server: $schema=../dvipa.schema.json
#
# Configuration of a ${role === 'route' ? 'routing host' : 'target'}, with every option. Before each stand its meaning and, in brackets, what it takes, its
# default, and whether a change takes effect by \`dvipa reload\` or by a restart of the agent. What can be left out is
# commented out (without a space behind the #); it shows the default or, where none can be written, an example.
# \`dvipa check-config FILE\` checks it.
#
# Made from the schema by \`npm run docs\`. docs/configuration.md has more.
`;

/** A file of that role with every option in it: valid as it is, and also when all that is commented out is not. */
export function commentedExample(role: Role): string {
  const parts = optionsOf(role).map((option) => `${linesOf(option, undefined, '', true).join('\n')}\n`);
  return [HEAD(role), ...parts].join('\n');
}

/** The file with everything in it that is commented out; prose has a space behind its `#`. */
export function uncommented(example: string): string {
  return example.replaceAll(/^( *)#(?=[^ \n])/gm, '$1');
}

/** `given`: the value that an example of what is around it has; `isLive`: that is not commented out itself. */
function linesOf(option: Option, given: unknown, indent: string, isLive: boolean): string[] {
  const isWritten = isLive && (option.isRequired || given !== undefined);
  const start = `${indent}${isWritten ? '' : '#'}`;
  const value = given ?? option.default ?? option.example;
  const text = wrap(`${option.description} [${factsOf(option)}]`, WIDTH - indent.length - 2);
  const comment = text.map((line) => `${indent}# ${line}`);
  if (option.children.length === 0) return [...comment, `${start}${option.key}: ${inlineYaml(value)}`];
  const inner = `${indent}  `;
  if (!option.isList) {
    const keys = option.children.flatMap((child) => linesOf(child, undefined, inner, isWritten));
    return [...comment, `${start}${option.key}:`, ...keys];
  }
  const [first, ...others] = value as Record<string, unknown>[];
  const keys = option.children.flatMap((child) =>
    linesOf(child, first?.[child.key], `${inner}  `, isWritten),
  );
  const more = others.map((entry) => `${inner}${isWritten ? '' : '#'}- ${inlineYaml(entry)}`);
  return [...comment, `${start}${option.key}:`, ...asEntry(keys, inner), ...more];
}

/** The dash of a list's entry stands before its first key. */
function asEntry(lines: readonly string[], indent: string): string[] {
  const at = lines.findIndex((line) => !line.trimStart().startsWith('# '));
  const [, mark, key] = /^ *(#?)(.*)$/.exec(lines[at] ?? '') ?? [];
  const comment = lines.slice(0, at).map((line) => `${indent}${line.trimStart()}`);
  return [...comment, `${indent}${mark}- ${key}`, ...lines.slice(at + 1)];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
