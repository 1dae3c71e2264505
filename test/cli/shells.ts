import { spawn } from 'node:child_process';

/** Shells that complete command lines for a test. */

interface ShellOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** What bash, with this script loaded, offers for each line with the cursor at its end. */
export async function completeInBash(
  script: string,
  lines: readonly string[],
  options: ShellOptions,
): Promise<string[][]> {
  // COMP_WORDBREAKS is set in interactive shells only; this is what it is there.
  const program = `
    COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
    . "$1"
    while IFS= read -r COMP_LINE; do
      COMP_POINT=\${#COMP_LINE}
      _dvipa dvipa
      printf '%s\\t' "\${COMPREPLY[@]}"
      echo
    done`;
  const argv = ['bash', '--noprofile', '--norc', '-c', program, 'bash', script];
  return wordsByLine(await outputOf(argv, lines.map((line) => `${line}\n`).join(''), options), lines.length);
}

/** The same in fish. */
export async function completeInFish(
  script: string,
  lines: readonly string[],
  options: ShellOptions,
): Promise<string[][]> {
  const program = `
    source $argv[1]
    while read --null line
      printf '%s\\t' (complete -C $line | string replace -r '\\t.*' '')
      echo
    end`;
  const argv = ['fish', '--no-config', '-c', program, script];
  return wordsByLine(await outputOf(argv, lines.join('\0'), options), lines.length);
}

/** What a shell at a terminal of its own says when this is typed: first what sets it up, then the lines, one after another. */
export async function typeInto(
  argv: readonly string[],
  setUp: readonly string[],
  options: ShellOptions & { readonly lines: readonly string[] },
): Promise<string[]> {
  const typed = [...setUp, ...options.lines, 'exit'].map((line) => `${line}\n`).join('');
  const said = await outputOf(['script', '--quiet', '--command', argv.join(' '), '/dev/null'], typed, {
    ...options,
    env: { ...options.env, TERM: 'dumb', PS1: '$ ' },
  });
  return said.split(/\r?\n|\r/);
}

function wordsByLine(text: string, count: number): string[][] {
  const lines = text.split('\n').slice(0, count);
  return lines.map((line) => line.split('\t').filter((word) => word !== ''));
}

function outputOf(argv: readonly string[], input: string, options: ShellOptions): Promise<string> {
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      if (errors === '') resolve(output);
      else reject(new Error(`${command}: ${errors}`));
    });
  });
}
