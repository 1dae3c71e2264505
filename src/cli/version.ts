import { Command } from 'commander';
import { packageVersion } from '../observe/version.ts';

export function versionCommand(): Command {
  return new Command('version')
    .description('version of dvipa and of the Node.js that runs it')
    .option('--json', 'print JSON')
    .action((options: { json?: true }) => {
      const version = { dvipa: packageVersion(), node: process.versions.node };
      const text = options.json
        ? JSON.stringify(version, null, 2)
        : `dvipa ${version.dvipa} (Node.js ${version.node})`;
      process.stdout.write(`${text}\n`);
    });
}
