import { filePath, object } from './fields.ts';

/** Where `dvipa keys export` may write the keys of all SAs. Without it there is no export. */
export interface KeysExportConfig {
  /** Taken from the folder of the configuration file if relative. */
  readonly file: string;
}

export const keysExportSection = object({
  file: filePath.meta({
    description: 'The file, for Wireshark. Whoever has it reads the traffic.',
    example: '/root/keys/esp_sa',
  }),
})
  .optional()
  .meta({
    description: 'Allows `dvipa keys export` to write the keys of all SAs to one file.',
    absent: 'no export',
    reload: 'hot',
  });
