import { Command } from 'commander';
import type { KeysExportSnapshot } from '../observe/snapshots.ts';
import { renderKeysExport } from '../observe/views/keys-export.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

/** `dvipa keys`: the agent writes the keys itself, to the one file that its configuration names. No key comes here. */
export function keysCommand(): Command {
  const exported = withOutputOptions(
    withSocketOption(new Command('export')).description(
      "write the keys of all SAs to the file of keys_export, as Wireshark's table esp_sa",
    ),
    'answer',
  ).action(async (options: SocketOption & OutputOptions) => {
    const answer = (await ask('keys-export', options.socket)) as KeysExportSnapshot;
    await printAnswer('keys-export', answer, options, renderKeysExport);
  });
  return new Command('keys').description('keys of the SAs, for Wireshark').addCommand(exported);
}
