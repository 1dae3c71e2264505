import { Command } from 'commander';
import type { KeysExportSnapshot } from '../observe/snapshots.ts';
import { renderKeysExport } from '../observe/views/keys-export.ts';
import { ask, type SocketOption, withSocketOption } from './ask.ts';
import { withExamples } from './examples.ts';
import { type OutputOptions, printAnswer, withOutputOptions } from './output.ts';

/** `dvipa keys`: the agent writes the keys itself, to the one file that its configuration names. No key comes here. */
export function keysCommand(): Command {
  const command = withOutputOptions(
    withSocketOption(new Command('export')).description(
      "write the keys of all SAs to the file of keys_export, as Wireshark's table esp_sa",
    ),
    'answer',
  ).action(async (options: SocketOption & OutputOptions) => {
    const answer = (await ask('keys-export', options.socket)) as KeysExportSnapshot;
    await printAnswer('keys-export', answer, options, renderKeysExport);
  });
  const exported = withExamples(
    command,
    ['dvipa keys export', 'to the file that the configuration names'],
    ['dvipa keys export --json | jq .leftOut', 'what Wireshark cannot be told about'],
  );
  return withExamples(
    new Command('keys').description('keys of the SAs, for Wireshark').addCommand(exported),
    ['dvipa keys export', 'write them to a file'],
  );
}
