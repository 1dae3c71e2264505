import { Command } from 'commander';
import { packageVersion } from '../observe/version.ts';
import type { CharonSockets } from './charon-versions.ts';
import { withExamples } from './examples.ts';

interface VersionOptions extends CharonSockets {
  readonly json?: true;
}

export function versionCommand(): Command {
  const command = new Command('version')
    .description('versions of dvipa, of Node.js, and of strongSwan and the plugin if charon runs here')
    .option('--vici <path>', 'socket of charon', '/run/charon.vici')
    .option('--plugin <path>', 'socket of the plugin', '/run/charon.dvipa')
    .option('--json', 'print JSON')
    .action(async ({ json, ...sockets }: VersionOptions) => {
      const { charonVersions } = await import('./charon-versions.ts');
      const { strongswan, plugin } = await charonVersions(sockets);
      const versions = { dvipa: packageVersion(), node: process.versions.node, strongswan, plugin };
      const parts = [
        `dvipa ${versions.dvipa} (Node.js ${versions.node})`,
        ...(strongswan === undefined ? [] : [`strongSwan ${strongswan}`]),
        ...(plugin === undefined ? [] : [`plugin kernel-dvipa ${plugin}`]),
      ];
      const text = json ? JSON.stringify(versions, null, 2) : parts.join('\n');
      process.stdout.write(`${text}\n`);
    });
  return withExamples(
    command,
    ['dvipa version', 'a line for each part that is there'],
    ['dvipa version --json | jq -r .plugin', 'for a program'],
  );
}
