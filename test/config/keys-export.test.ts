import { expect } from 'chai';
import { ConfigError, parseConfig } from '../../src/config/index.ts';
import { ROUTE_YAML, TARGET_YAML } from './example.ts';

function problemOf(text: string): string {
  try {
    parseConfig(text, '/etc/dvipa/dvipa.yaml');
    return 'none';
  } catch (error) {
    return error instanceof ConfigError ? error.message : String(error);
  }
}

describe('configuration of the key export', () => {
  it('is absent unless the file has it', () => {
    expect(parseConfig(ROUTE_YAML, 'dvipa.yaml')).to.not.have.property('keysExport');
  });

  it('names a file, taken from the folder of the configuration if relative', () => {
    for (const [given, file] of [
      ['keys/esp_sa', '/etc/dvipa/keys/esp_sa'],
      ['/root/esp_sa', '/root/esp_sa'],
    ]) {
      const config = parseConfig(`${ROUTE_YAML}\nkeys_export: { file: ${given} }\n`, '/etc/dvipa/dvipa.yaml');
      expect(config).to.have.deep.property('keysExport', { file });
    }
  });

  it('is refused without a file, with more than that, and on a target', () => {
    expect(problemOf(`${ROUTE_YAML}\nkeys_export: {}\n`)).to.contain('keys_export.file: missing');
    expect(problemOf(`${ROUTE_YAML}\nkeys_export: { file: x, mode: 0644 }\n`)).to.contain('unknown key');
    expect(problemOf(`${ROUTE_YAML}\nkeys_export: true\n`)).to.contain('expected a mapping with file');
    expect(problemOf(`${TARGET_YAML}\nkeys_export: { file: x }\n`)).to.contain('unknown key');
  });
});
