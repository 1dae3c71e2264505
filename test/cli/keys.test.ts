import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';
import type { KeysExportSnapshot } from '../../src/observe/snapshots.ts';
import { dvipa } from './run-cli.ts';

const ANSWER: KeysExportSnapshot = {
  file: '/root/keys/esp_sa',
  sas: 4,
  leftOut: [{ spi: 'c0000003', algorithm: 'AES_CCM_16-256', reason: 'Wireshark does not know AES-CCM-16' }],
};

describe('dvipa keys export', function () {
  this.timeout(30_000);
  let folder: string;
  let server: AdminServer;
  const socket = () => join(folder, 'route.sock');

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-cli-keys-'));
    let calls = 0;
    server = await startAdminServer(socket(), {
      'keys-export': () => {
        if (++calls > 2) throw new Error('key export is off');
        return ANSWER;
      },
    });
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('dvipa keys export prints where the keys are, or JSON, and fails with what the agent says', async () => {
    const text = await dvipa('keys', 'export', '--socket', socket());
    expect(text).to.include({ code: 0, stderr: '' });
    expect(text.stdout.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).to.deep.equal([
      '/root/keys/esp_sa: keys of 4 SAs',
      'LEFT OUT ALGORITHM REASON',
      'c0000003 AES_CCM_16-256 Wireshark does not know AES-CCM-16',
      '',
    ]);
    const json = await dvipa('keys', 'export', '--json', '--socket', socket());
    expect(JSON.parse(json.stdout)).to.deep.equal(ANSWER);
    const refused = await dvipa('keys', 'export', '--socket', socket());
    expect(refused).to.deep.equal({
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'dvipa: key export is off\n',
    });
  });

  it('dvipa keys export has no option that takes the keys elsewhere', async () => {
    const result = await dvipa('keys', 'export', '--output', '/tmp/x', '--socket', socket());
    expect(result).to.include({ code: 2, stdout: '' });
  });
});
