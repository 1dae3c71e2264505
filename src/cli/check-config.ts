import { Command } from 'commander';
import type { Config } from '../config/index.ts';
import { withExamples } from './examples.ts';
import { CommandError } from './exit.ts';

interface CheckConfigOptions {
  readonly json?: true;
  /** commander's form of `--no-files`. */
  readonly files: boolean;
}

export function checkConfigCommand(): Command {
  const command = new Command('check-config')
    .description('check a configuration file and the files it names; touches nothing')
    .argument('<file>', 'YAML file of either role')
    .option('--no-files', 'do not look at the certificate and key files')
    .option('--json', 'print JSON')
    .action(async (file: string, options: CheckConfigOptions) => {
      const { ConfigError, loadConfig } = await import('../config/index.ts');
      try {
        const config = loadConfig(file, { looksAtFiles: options.files });
        const { role, host } = config;
        const text = options.json
          ? JSON.stringify({ file, ok: true, role, host, problems: [] }, null, 2)
          : `${file}: ok, ${summaryOf(config)}`;
        process.stdout.write(`${text}\n`);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        if (options.json) {
          process.stdout.write(`${JSON.stringify({ file, ok: false, problems: error.problems }, null, 2)}\n`);
        }
        throw new CommandError(`configuration is not valid\n${error.message}`);
      }
    });
  return withExamples(
    command,
    ['dvipa check-config /etc/dvipa/dvipa.yaml', 'before the agent is started'],
    ['dvipa check-config --no-files --json new.yaml', 'for a program, where the certificates are not'],
  );
}

function summaryOf(config: Config): string {
  const dvipas = `${config.dvipas.length} DVIPA${config.dvipas.length === 1 ? '' : 's'}`;
  return config.role === 'route'
    ? `routing host ${config.host}, ${dvipas}, ${config.targets.length} targets`
    : `target ${config.host}, ${dvipas}, routing host ${config.router.host}`;
}
