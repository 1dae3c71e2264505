import { Command, CommanderError } from 'commander';
import { captureCommand } from './capture.ts';
import { checkConfigCommand } from './check-config.ts';
import { completionCommand, runningValuesCommand } from './completion.ts';
import { connectionsCommand } from './connections.ts';
import { drainCommand, undrainCommand } from './drain.ts';
import { doctorCommand } from './doctor.ts';
import { dropsCommand } from './drops.ts';
import { dvipasCommand } from './dvipas.ts';
import { eventsCommand } from './events.ts';
import { withExamples } from './examples.ts';
import { CommandError, EXIT } from './exit.ts';
import { filtersCommand } from './filters.ts';
import { helpCommand } from './help.ts';
import { keysCommand } from './keys.ts';
import { labCommand } from './lab.ts';
import { lifesizeCommand } from './lifesize.ts';
import { reloadCommand } from './reload.ts';
import { maintenanceCommand } from './maintenance.ts';
import { numberingCommand } from './numbering.ts';
import { pkiCommand } from './pki.ts';
import { rekeyCommand } from './rekey.ts';
import { routeCommand } from './route.ts';
import { sasCommand } from './sas.ts';
import { statusCommand } from './status.ts';
import { targetCommand } from './target.ts';
import { targetsCommand } from './targets.ts';
import { traceCommand } from './trace.ts';
import { versionCommand } from './version.ts';

const HELP_EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 no agent reachable, 4 not done in time.`;

/** Runs one command line (without the program's own name) and returns the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? EXIT.OK);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE;
    process.stderr.write(`dvipa: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT.ERROR;
  }
}

/** All commands. Their files are light: what a command acts with is loaded when it acts. */
export function buildProgram(): Command {
  const program = new Command('dvipa')
    .description('IPsec for a cluster of hosts behind one Dynamic Virtual IP address')
    .helpCommand(false)
    .addHelpText('afterAll', HELP_EXIT_CODES)
    // `lab exec HOST -- CMD --its-own-options` hands options through.
    .enablePositionalOptions()
    .exitOverride();
  const groups: readonly (readonly [heading: string, commands: readonly Command[]])[] = [
    ['Agents:', [routeCommand(), targetCommand(), checkConfigCommand(), reloadCommand()]],
    [
      'What goes on:',
      [
        statusCommand(),
        dvipasCommand(),
        sasCommand(),
        targetsCommand(),
        connectionsCommand(),
        numberingCommand(),
        filtersCommand(),
        lifesizeCommand(),
        dropsCommand(),
        eventsCommand(),
      ],
    ],
    ['Act:', [rekeyCommand(), drainCommand(), undrainCommand(), maintenanceCommand()]],
    ['Find out why:', [doctorCommand(), traceCommand(), captureCommand(), keysCommand()]],
    [
      'Set up:',
      [pkiCommand(), labCommand(), versionCommand(), completionCommand(buildProgram), helpCommand()],
    ],
  ];
  for (const [heading, commands] of groups) {
    for (const command of commands) {
      overrideExit(command.helpGroup(heading));
      program.addCommand(command);
    }
  }
  program.addCommand(overrideExit(runningValuesCommand()), { hidden: true });
  return withExamples(
    program,
    ['dvipa check-config /etc/dvipa/dvipa.yaml', 'before an agent is started'],
    ['dvipa status', 'is everything there?'],
    ['dvipa help sas', 'the help of a command'],
  );
}

/** commander hands `exitOverride` down only to commands it makes itself. */
function overrideExit(command: Command): Command {
  for (const sub of command.commands) overrideExit(sub);
  return command.exitOverride();
}
