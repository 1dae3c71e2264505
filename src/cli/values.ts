/** What a running agent, or the lab, can be asked for while a command line is being typed. */
export const RUNNING_KINDS = ['target', 'dvipa', 'spi', 'ike', 'child', 'lab-host'] as const;
export type RunningKind = (typeof RUNNING_KINDS)[number];

/**
 * What a shell offers in place of a value. `command-name`: a command of dvipa; `command-line`: a command of the system
 * and its own arguments; `free`: nothing, only the user knows.
 */
export type ValueKind = RunningKind | 'file' | 'folder' | 'command-name' | 'command-line' | 'free';

/** Kind by the name between the angle brackets of a usage: one name means one thing in all commands. */
const KINDS: Readonly<Record<string, ValueKind>> = {
  address: 'free',
  command: 'command-name',
  'command-line': 'command-line',
  count: 'free',
  days: 'free',
  dvipa: 'dvipa',
  file: 'file',
  folder: 'folder',
  host: 'free',
  'lab-host': 'lab-host',
  name: 'free',
  'name=value': 'free',
  network: 'free',
  number: 'free',
  path: 'file',
  place: 'free',
  protocol: 'free',
  scenario: 'free',
  seconds: 'free',
  spi: 'spi',
  state: 'free',
  target: 'target',
};

/** Kind by the name of the option itself, whatever its brackets say: `--target <host>`. */
const KINDS_OF_OPTIONS: Readonly<Record<string, ValueKind>> = {
  '--child': 'child',
  '--dvipa': 'dvipa',
  '--ike': 'ike',
  '--target': 'target',
};

/** Undefined: nobody has said what this name means; a test sees to it that there is none. */
export function valueKind(name: string, option = ''): ValueKind | undefined {
  return KINDS_OF_OPTIONS[option] ?? KINDS[name];
}

export function isRunningKind(kind: string): kind is RunningKind {
  return (RUNNING_KINDS as readonly string[]).includes(kind);
}
