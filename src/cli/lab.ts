import { spawn } from 'node:child_process';
import { Command, InvalidArgumentError } from 'commander';
import { withExamples } from './examples.ts';

/** `dvipa lab`: hosts as network namespaces of this machine. */
export function labCommand(): Command {
  const lab = new Command('lab')
    .description('a routing host, targets and clients as network namespaces of this machine')
    .enablePositionalOptions();

  withExamples(
    lab.command('up'),
    ['dvipa lab up', 'one client, one routing host, three targets'],
    ['dvipa lab up matrix --targets 2 --no-tunnels', 'another scenario'],
  )
    .description('build and start the lab; cleans up first what an earlier one left')
    .argument('[scenario]', 'a folder of strongswan-conf/', 'endpoint')
    .option('--targets <count>', 'target hosts', parseCount, 3)
    .option('--clients <count>', 'clients', parseCount, 1)
    .option('--kernels <count>', 'clients that are Linux kernels of their own', parseCount, 0)
    .option('--set <name=value...>', 'another value for a {{name}} of the templates', parseSetting, {})
    .option('--no-agents', 'charon only: start no agent')
    .option('--no-tunnels', 'do not bring the tunnels up')
    .action(async (scenario: string, options: UpOptions) => {
      const { set: values, ...rest } = options;
      const { Lab } = await import('../lab/lab.ts');
      const up = await Lab.up({ ...rest, scenario, values, progress: (line) => console.error(line) });
      await up.release();
      console.log(
        `lab ${scenario} is up: ${up.plan.map(({ name }) => name).join(' ')}; logs in ${up.options.folder}/logs`,
      );
    });

  withExamples(
    lab.command('exec'),
    ['dvipa lab exec client1 -- curl -s http://203.0.113.10/', 'ask the DVIPA'],
    ['dvipa lab exec router1 -- swanctl --list-sas', 'as on a real host'],
  )
    .description('run a command in a host, and exit as it does')
    .argument('<lab-host>', 'name of the host')
    .argument('<command-line...>', 'what to run there')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (host: string, command: string[]) => {
      // The separator is ours, whatever comes after it is theirs.
      const argv = command[0] === '--' ? command.slice(1) : command;
      const { readLabHost } = await import('../lab/attach.ts');
      const { enterHost } = await import('../lab/host.ts');
      const record = readLabHost(host);
      process.exitCode =
        record.guest === undefined
          ? await runInHost(enterHost(record, argv))
          : await runInGuest(host, record.guest, argv);
    });

  withExamples(lab.command('status'), ['dvipa lab status', 'hosts and processes'])
    .description('what of the lab is there')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const { labStatus } = await import('../lab/attach.ts');
      const status = labStatus();
      if (options.json === true) console.log(JSON.stringify(status, undefined, 2));
      else if (!status.up) console.log('the lab is down');
      else {
        console.log(`lab ${status.scenario} is up; logs in ${status.folder}/logs`);
        for (const { host, name, pid, running } of status.processes) {
          console.log(`  ${host.padEnd(9)} ${name.padEnd(8)} ${running ? `process ${pid}` : 'not running'}`);
        }
      }
      process.exitCode = status.up ? 0 : 1;
    });

  withExamples(lab.command('down'), ['dvipa lab down', 'all of it'])
    .description('end and remove the lab; nothing to do is no fault')
    .action(async () => {
      const { Lab } = await import('../lab/lab.ts');
      const was = await Lab.downAny({ progress: (line) => console.error(line) });
      console.log(was ? 'the lab is down' : 'there was no lab');
    });

  return withExamples(
    lab,
    ['dvipa lab up', 'make it'],
    ['dvipa lab exec target1 -- dvipa status', 'look into a host'],
    ['dvipa lab down', 'remove it'],
  );
}

interface UpOptions {
  readonly targets: number;
  readonly clients: number;
  readonly kernels: number;
  readonly set: Readonly<Record<string, string>>;
  readonly agents: boolean;
  readonly tunnels: boolean;
}

function parseCount(text: string): number {
  if (!/^\d$/.test(text)) throw new InvalidArgumentError('expected 0 to 9.');
  return Number(text);
}

function parseSetting(text: string, earlier: Record<string, string>): Record<string, string> {
  const [, name, value] = /^(\w+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('expected name=value.');
  return { ...earlier, [name]: value };
}

/** The same for a guest, without input. */
async function runInGuest(host: string, folder: string, argv: readonly string[]): Promise<number> {
  const { isGuestRunning } = await import('../lab/attach.ts');
  const { followCommand, pidOf, startCommand } = await import('../lab/uml/mailbox.ts');
  const command = startCommand(folder, argv);
  process.on('SIGINT', () => startCommand(folder, ['kill', '-INT', String(pidOf(command) ?? 0)]));
  const tell = (kind: 'out' | 'err', bytes: Buffer) =>
    process[kind === 'out' ? 'stdout' : 'stderr'].write(bytes);
  return followCommand(command, () => isGuestRunning(host), tell);
}

/** Becomes, as far as a parent can, the command: same terminal, same exit status. */
function runInHost(argv: readonly string[]): Promise<number> {
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both of us; the command decides what it means.
  process.on('SIGINT', () => {});
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(signal === null ? (status ?? 1) : 1));
  });
}
