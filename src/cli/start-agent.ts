import { Command } from 'commander';
import type { Config } from '../config/index.ts';
import type { Log } from '../observe/log.ts';
import type { ReloadSource } from '../agents/reload.ts';
import type { RunningAgent } from '../agents/running-agent.ts';
import { withExamples } from './examples.ts';
import { CommandError } from './exit.ts';

type ConfigOf<Role extends Config['role']> = Extract<Config, { role: Role }>;
type StartAgent<Role extends Config['role']> = (
  config: ConfigOf<Role>,
  log: Log,
  source: ReloadSource<ConfigOf<Role>>,
) => Promise<RunningAgent>;

/** The command that runs one of the two agents in the foreground. */
export function agentCommand<Role extends Config['role']>(
  role: Role,
  description: string,
  load: () => Promise<StartAgent<Role>>,
): Command {
  const command = new Command(role)
    .description(description)
    .requiredOption('-c, --config <file>', 'the configuration, a YAML file; required')
    .action(async (options: { config: string }) => {
      const { loadConfig } = await import('../config/index.ts');
      const { missingPrivileges } = await import('./privileges.ts');
      const config = loadConfig(options.config);
      if (!hasRole(config, role)) {
        throw new CommandError(`${options.config}: role is ${config.role}, expected ${role}`);
      }
      const missing = missingPrivileges();
      if (missing !== undefined) throw new CommandError(missing);
      const { isAgentListening } = await import('../io/admin-probe.ts');
      if (await isAgentListening(config.admin.socket)) {
        throw new CommandError(`another agent is running on ${config.admin.socket}`);
      }
      // ---- everything above only reads and checks; below, the system is touched ----
      const start = await load();
      const { createLog, isJournalStream } = await import('../observe/log.ts');
      const { runAgent } = await import('./agent-process.ts');
      const log = createLog({ ...config.log, isJournal: isJournalStream(process.env) });
      const source = {
        file: options.config,
        load: () => loadConfig(options.config),
        setLog: (settings: Config['log']) => log.configure(settings),
      };
      process.exitCode = await runAgent(
        (agentLog) => start(config, agentLog.child({ host: config.host }), source),
        log,
      );
    });
  return withExamples(command, [
    `dvipa ${role} -c /etc/dvipa/dvipa.yaml`,
    'in the foreground, until SIGTERM',
  ]);
}

function hasRole<Role extends Config['role']>(config: Config, role: Role): config is ConfigOf<Role> {
  return config.role === role;
}
