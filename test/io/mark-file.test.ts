import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { MarkFile } from '../../src/io/mark-file.ts';

describe('mark file', () => {
  let folder = '';
  before(() => void (folder = mkdtempSync(join(tmpdir(), 'dvipa-mark-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is set for whoever looks next, until it is taken back; twice is harmless', () => {
    const path = join(folder, 'maintenance');
    for (const isOn of [true, true, false, false]) {
      new MarkFile(path).set(isOn);
      expect(new MarkFile(path).isSet()).to.equal(isOn);
      if (isOn) expect(statSync(path).mode & 0o777).to.equal(0o600);
    }
  });

  it('throws if it cannot be made, and is not set then', () => {
    const mark = new MarkFile(join(folder, 'nowhere', 'maintenance'));
    expect(() => mark.set(true)).to.throw('ENOENT');
    expect(mark.isSet()).to.equal(false);
  });
});
