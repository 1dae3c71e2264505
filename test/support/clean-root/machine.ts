import { CommandError, type RunOptions, type RunResult } from '../../../src/lab/run.ts';

/** What runs commands: a `CleanHost` or a `SystemdGuest`. */
export interface Machine {
  exec(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
}

/** The shell's working directory and umask last from one block of commands to the next. */
const SESSION = '/root/.session';
const REMEMBER = `trap 'echo "cd $PWD; umask $(umask)" >${SESSION}' EXIT
[ ! -e ${SESSION} ] || . ${SESSION}
`;

/**
 * Types commands as root, in /root, into one shell for the whole life of the machine; the first that fails ends it. Between machines
 * there is no SSH: a line `scp FILES HOST:FOLDER/` is done by us, with the modes that scp would give. Returns what was said.
 */
export async function type(
  script: string,
  host: string,
  machines: ReadonlyMap<string, Machine>,
  timeoutMs = 60_000,
): Promise<string> {
  let said = '';
  for (const part of script.split(/^(scp .*)\n/m)) {
    const copy = /^scp (.+) ([a-z0-9]+):(\S+)\/$/.exec(part);
    if (copy === null) {
      said += await shell(machineOf(machines, host), part, timeoutMs);
      continue;
    }
    const [, files = '', to = '', folder = ''] = copy;
    for (const file of files.split(' ')) {
      const [mode = '', content = ''] = (
        await shell(machineOf(machines, host), `stat -c %a ${file}; base64 -w 0 ${file}`, timeoutMs)
      ).split('\n');
      const put = `umask 022; base64 -d >"$1" && chmod "$2" "$1"`;
      const place = `${folder}/${file.replace(/.*\//, '')}`;
      await must(machineOf(machines, to), ['sh', '-euc', put, 'sh', place, mode], { input: content });
    }
  }
  return said;
}

/** For a command that has to succeed: what it said on standard output. */
export async function must(
  machine: Machine,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await machine.exec(argv, options);
  if (result.status !== 0) throw new CommandError(argv, result);
  return result.stdout;
}

function shell(machine: Machine, script: string, timeoutMs: number): Promise<string> {
  const whole = `cd /root; ${REMEMBER}${script}`;
  return must(machine, ['env', 'HOME=/root', 'LANG=C.UTF-8', 'bash', '--norc', '-ec', whole], { timeoutMs });
}

export function machineOf(machines: ReadonlyMap<string, Machine>, host: string): Machine {
  const machine = machines.get(host);
  if (machine === undefined) throw new Error(`no host ${host}`);
  return machine;
}
