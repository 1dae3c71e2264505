import { MAX_DEPTH } from './codec.ts';
import { ViciError } from './error.ts';
import { ViciMessage } from './message.ts';

/** One message of the output of `swanctl --pretty`. */
export interface LabelledMessage {
  /** e.g. `list-sa event`. */
  readonly label: string;
  /** Values are text as printed: `0x0a` may have been that text, or one byte that cannot be printed. */
  readonly message: ViciMessage;
}

/**
 * Reads what `swanctl --pretty` or `formatPretty` printed, one or more messages. The indentation tells what opens a
 * section or list and what only looks so, such as a value `{`. Names must not begin with a space.
 * @throws ViciError `malformed` with the number of the line, or `too-big` if nested too deeply
 */
export function parsePretty(text: string): LabelledMessage[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw malformed(lines.length + 1, 'a line feed at the end');
  const parser = new PrettyParser(lines);
  const messages: LabelledMessage[] = [];
  while (!parser.isAtEnd) messages.push(parser.labelled());
  return messages;
}

class PrettyParser {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#lines.length;
  }

  labelled(): LabelledMessage {
    const line = this.#take('');
    if (!line.endsWith(' {')) throw malformed(this.#at, 'a label and {');
    return { label: line.slice(0, -2), message: this.#section('', 0) };
  }

  /** The entries up to the brace that closes at `indent`. */
  #section(indent: string, depth: number): ViciMessage {
    if (depth > MAX_DEPTH) throw new ViciError('too-big', `line ${this.#at}: nested too deeply`);
    const section = new ViciMessage();
    const deeper = `${indent}  `;
    while (!this.#closes(`${indent}}`)) this.#entry(section, deeper, depth);
    return section;
  }

  #entry(section: ViciMessage, indent: string, depth: number): void {
    const line = this.#take(indent);
    if (line.startsWith(' ')) throw malformed(this.#at, `an indentation of ${indent.length}`);
    const assign = line.indexOf(' = ');
    if (line.endsWith(' {') && this.#isOpened(indent, '}')) {
      section.append(line.slice(0, -2), this.#section(indent, depth + 1));
    } else if (line.endsWith(' = [') && this.#isOpened(indent, ']')) {
      section.append(line.slice(0, -4), this.#list(indent));
    } else if (assign >= 0) {
      section.append(line.slice(0, assign), Buffer.from(line.slice(assign + 3)));
    } else {
      throw malformed(this.#at, 'key = value, a section or a list');
    }
  }

  #list(indent: string): Buffer[] {
    const items: Buffer[] = [];
    while (!this.#closes(`${indent}]`)) items.push(Buffer.from(this.#take(`${indent}  `)));
    return items;
  }

  /** Whether the line just taken has something inside: the next one is deeper, or closes at once. */
  #isOpened(indent: string, bracket: string): boolean {
    const next = this.#lines[this.#at] ?? '';
    return next === `${indent}${bracket}` || next.startsWith(`${indent}  `);
  }

  #closes(line: string): boolean {
    if (this.#lines[this.#at] !== line) return false;
    this.#at++;
    return true;
  }

  /** The next line, without the indentation that it must have. */
  #take(indent: string): string {
    const line = this.#lines[this.#at++];
    if (line?.startsWith(indent) !== true) throw malformed(this.#at, `an indentation of ${indent.length}`);
    return line.slice(indent.length);
  }
}

function malformed(line: number, expected: string): ViciError {
  return new ViciError('malformed', `line ${line}: expected ${expected}`);
}
