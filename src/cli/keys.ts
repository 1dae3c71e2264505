import { Command } from 'commander';
import type { KeysExportSnapshot } from '../observe/snapshots.ts';
import { renderKeysExport } from '../observe/views/keys-export.ts';
import { styleFor } from '../observe/views/style.ts';
import { ask } from './ask.ts';

interface ExportOptions {
  readonly socket?: string;
  readonly json?: true;
}

/** `dvipa keys`: the agent writes the keys itself, to the one file that its configuration names. No key comes here. */
export function keysCommand(): Command {
  const exported = new Command('export')
    .description("write the keys of all SAs to the file of keys_export, as Wireshark's table esp_sa")
    .option('--json', 'print JSON (docs/cli-json.md)')
    .option('--socket <path>', 'admin socket of the agent of the routing host')
    .action(async (options: ExportOptions) => {
      const answer = (await ask('keys-export', options.socket)) as KeysExportSnapshot;
      const style = styleFor(process.stdout.isTTY, process.env);
      const text = options.json ? `${JSON.stringify(answer, null, 2)}\n` : renderKeysExport(answer, style);
      process.stdout.write(text);
    });
  return new Command('keys').description('keys of the SAs, for Wireshark').addCommand(exported);
}
