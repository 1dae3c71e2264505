import { Command } from 'commander';
import { DEFAULT_CONFIG_FILE } from '../config/default-file.ts';
import { withExamples } from './examples.ts';
import { EXIT } from './exit.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

interface DoctorOptions extends OutputOptions {
  readonly config: string;
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('look at everything that an agent needs on this host, and say what is wrong and what to do')
    .option('-c, --config <file>', 'YAML file of either role', DEFAULT_CONFIG_FILE);
  withExamples(
    withOutputOptions(command, 'answer'),
    ['dvipa doctor', 'this host, with the agent running or not'],
    ['dvipa doctor --json | jq \'.[] | select(.status == "fail")\'', 'only what fails'],
  );
  return command.action(async (options: DoctorOptions) => {
    const { examine } = await import('../doctor/examine.ts');
    const { renderFindings } = await import('../doctor/view.ts');
    const findings = await examine(options.config);
    await printAnswer('doctor', findings, options, renderFindings);
    process.exitCode = findings.some(({ status }) => status === 'fail') ? EXIT.ERROR : EXIT.OK;
  });
}
