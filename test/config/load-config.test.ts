import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError, loadConfig } from '../../src/config/index.ts';
import { TARGET_YAML } from './example.ts';

describe('configuration file on disk', () => {
  let folder = '';
  let file = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-config-'));
    file = join(folder, 'dvipa.yaml');
    mkdirSync(join(folder, 'pki'));
    for (const name of ['ca.pem', 'target1.pem', 'target1.key']) {
      writeFileSync(join(folder, 'pki', name), 'PEM', { mode: 0o600 });
    }
    writeFileSync(file, TARGET_YAML);
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function problems(): string[] {
    try {
      loadConfig(file);
    } catch (error) {
      if (error instanceof ConfigError)
        return error.message.split('\n').map((line) => line.replaceAll(folder, ''));
      throw error;
    }
    return [];
  }

  it('a configuration file is loaded when all that it names is there', () => {
    expect(loadConfig(file)).to.have.property('host', 'target1');
  });

  it('a key file that others can read is refused at its place in the file', () => {
    chmodSync(join(folder, 'pki/target1.key'), 0o644);
    chmodSync(join(folder, 'pki/target1.pem'), 0o644);
    expect(problems()).to.deep.equal([
      '/dvipa.yaml:10:8: coupling.key: /pki/target1.key has mode 0644, expected a key that others cannot read (0600)',
    ]);
  });

  it('missing certificate files are all told, unless the caller does not look', () => {
    rmSync(join(folder, 'pki'), { recursive: true });
    expect(problems()).to.deep.equal([
      '/dvipa.yaml:8:7: coupling.ca: /pki/ca.pem cannot be read: no such file, expected a PEM file',
      '/dvipa.yaml:9:16: coupling.certificate: /pki/target1.pem cannot be read: no such file, expected a PEM file',
      '/dvipa.yaml:10:8: coupling.key: /pki/target1.key cannot be read: no such file, expected a PEM file',
    ]);
    expect(loadConfig(file, { looksAtFiles: false })).to.have.property('host', 'target1');
  });

  it('a folder in place of a key is refused', () => {
    rmSync(join(folder, 'pki/target1.key'));
    mkdirSync(join(folder, 'pki/target1.key'), { mode: 0o700 });
    expect(problems()).to.deep.equal([
      '/dvipa.yaml:10:8: coupling.key: /pki/target1.key is not a regular file, expected a PEM file',
    ]);
  });

  it('a configuration file that cannot be read is one problem without a line', () => {
    file = join(folder, 'other.yaml');
    expect(problems()).to.deep.equal(['/other.yaml: cannot be read: no such file']);
    file = folder;
    expect(problems()).to.deep.equal([': not a regular file, expected a YAML file']);
  });

  it('a configuration file may begin with a byte order mark, and end its lines as Windows does', () => {
    writeFileSync(file, `\uFEFF${TARGET_YAML.replaceAll('\n', '\r\n')}`);
    expect(loadConfig(file)).to.have.property('host', 'target1');
  });

  it('a configuration file that is not UTF-8, or too large, is refused', () => {
    writeFileSync(file, Buffer.from('role: \xff\xfe', 'latin1'));
    expect(problems()).to.deep.equal(['/dvipa.yaml:1:7: not UTF-8 text, expected a YAML file']);
    writeFileSync(file, Buffer.from('# \xc3\xa4\nrole: \xe4\n', 'latin1'));
    expect(problems()).to.deep.equal(['/dvipa.yaml:2:7: not UTF-8 text, expected a YAML file']);
    writeFileSync(file, Buffer.from(`\uFEFF${TARGET_YAML}`, 'utf16le'));
    expect(problems()).to.deep.equal(['/dvipa.yaml:1:1: not UTF-8 text, expected a YAML file']);
    writeFileSync(file, Buffer.alloc(65_537, ' '));
    expect(problems()).to.deep.equal(['/dvipa.yaml: too large, expected at most 65536 bytes']);
  });
});
