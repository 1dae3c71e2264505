import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { writeSecretFile } from '../../src/io/secret-file.ts';
import { skipBecause } from '../support/summary-reporter.ts';

const BYTES = Buffer.from('a secret\n');

describe('a secret file', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-secret-'));
    file = join(folder, 'keys');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const failureOf = (path: string): Promise<string> =>
    writeSecretFile(path, BYTES).then(
      () => 'none',
      (error: Error) => error.message,
    );
  const modeOf = (path: string) => statSync(path).mode & 0o7777;

  it('is there whole, for its owner alone, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await writeSecretFile(file, BYTES);
      expect(modeOf(file)).to.equal(0o600);
      process.umask(0o777);
      await writeSecretFile(file, BYTES);
    } finally {
      process.umask(before);
    }
    expect(modeOf(file)).to.equal(0o600);
    expect(readFileSync(file)).to.deep.equal(BYTES);
    expect(readdirSync(folder)).to.deep.equal(['keys']);
  });

  it('takes the place of an older one, whose mode does not stay', async () => {
    writeFileSync(file, 'an older and longer secret', { mode: 0o644 });
    const before = lstatSync(file).ino;
    await writeSecretFile(file, BYTES);
    expect(readFileSync(file)).to.deep.equal(BYTES);
    expect(modeOf(file)).to.equal(0o600);
    expect(lstatSync(file).ino, 'a new file, never the old one opened').to.not.equal(before);
  });

  for (const [what, name] of [
    ['in its own place', 'keys'],
    ['in the place of its temporary name', 'keys.new'],
  ] as const) {
    it(`follows no symbolic link ${what}`, async () => {
      const victim = join(folder, 'victim');
      writeFileSync(victim, 'untouched', { mode: 0o644 });
      symlinkSync(victim, join(folder, name));
      await writeSecretFile(file, BYTES);
      expect(readFileSync(victim, 'utf8')).to.equal('untouched');
      expect(lstatSync(file).isSymbolicLink()).to.equal(false);
      expect(readFileSync(file)).to.deep.equal(BYTES);
      expect(readdirSync(folder).toSorted()).to.deep.equal(['keys', 'victim']);
    });
  }

  it('replaces what a writer left that was killed', async () => {
    writeFileSync(`${file}.new`, 'half a secr', { mode: 0o666 });
    await writeSecretFile(file, BYTES);
    expect(readFileSync(file)).to.deep.equal(BYTES);
    expect(existsSync(`${file}.new`)).to.equal(false);
  });

  for (const mode of [0o770, 0o707, 0o1777]) {
    it(`is not written to a folder of mode ${mode.toString(8)}, which others may write`, async () => {
      chmodSync(folder, mode);
      expect(await failureOf(file)).to.match(/may be written by others, expected mode 0700$/);
      expect(readdirSync(folder)).to.deep.equal([]);
    });
  }

  it('is not written below a folder that others may write', async () => {
    const inner = join(folder, 'open/inner');
    mkdirSync(inner, { recursive: true, mode: 0o700 });
    chmodSync(join(folder, 'open'), 0o777);
    expect(await failureOf(join(inner, 'keys'))).to.match(/open may be written by others/);
    // The sticky bit keeps them from moving `inner` away.
    chmodSync(join(folder, 'open'), 0o1777);
    expect(await failureOf(join(inner, 'keys'))).to.equal('none');
  });

  it('is not written to an open folder that a symbolic link leads to', async () => {
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    symlinkSync(join(folder, 'open'), join(folder, 'link'));
    expect(await failureOf(join(folder, 'link/keys'))).to.match(/may be written by others/);
  });

  it('is not written where there is no folder, or a folder in its place, and leaves nothing behind', async () => {
    expect(await failureOf(join(folder, 'none/keys'))).to.match(/ENOENT/);
    mkdirSync(file);
    expect(await failureOf(file)).to.match(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(folder)).to.deep.equal(['keys']);
  });

  it('is not written to a folder of somebody else', async function () {
    if (process.geteuid?.() !== 0) skipBecause(this, 'only root can give a folder away');
    chownSync(folder, 65_534, 65_534);
    expect(await failureOf(file)).to.match(/belongs to another user/);
  });
});
