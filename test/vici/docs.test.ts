import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { FakeCharon } from '../support/fake-charon.ts';

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

const file = (relative: string) => new URL(`../../${relative}`, import.meta.url);

/** The first TypeScript block of the page, with the package's name replaced by its source. */
function exampleOf(page: string): string {
  const code = /```ts\n(?<code>[^]*?)```/.exec(readFileSync(file(page), 'utf8'))?.groups?.['code'];
  if (code === undefined) throw new Error(`no example in ${page}`);
  return code.replace("'strongswan-dvipa/vici'", `'${file('src/vici/index.ts').href}'`);
}

function runScript(script: string, argument: string): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', tsx, script, argument]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('close', (status) => resolve({ status, output }));
  });
}

describe('docs/vici.md', () => {
  it('docs/vici.md has an example that runs, prints what the page says, and ends by itself', async () => {
    const charon = await new FakeCharon()
      .knows('list-sa', 'ike-updown', 'ike-rekey', 'child-updown', 'child-rekey')
      .on('version', () => ({
        daemon: 'charon',
        version: '5.9.8',
        sysname: 'Linux',
        release: '6',
        machine: 'x86_64',
      }))
      .on('rekey', () => ({ success: true, matches: 1 }))
      .on('list-sas', (_, client) => {
        const child = { name: 'web', uniqueid: 1, reqid: 1, state: 'INSTALLED', mode: 'TUNNEL' };
        const hosts = { 'local-host': '192.0.2.10', 'remote-host': '192.0.2.101' };
        const ike = {
          uniqueid: 1,
          version: 2,
          state: 'ESTABLISHED',
          ...hosts,
          'child-sas': { 'web-1': child },
        };
        client.event('list-sa', { dvipa: ike });
        return {};
      })
      .start();
    const folder = mkdtempSync(path.join(tmpdir(), 'vici-docs-'));
    try {
      const script = path.join(folder, 'example.mts');
      writeFileSync(script, exampleOf('docs/vici.md'));
      const { status, output } = await runScript(script, charon.uri);
      expect(output).to.equal('strongSwan 5.9.8\ndvipa web 1 INSTALLED\nto rekey: 1\n');
      expect(status).to.equal(0);
    } finally {
      rmSync(folder, { recursive: true });
      await charon.destroy();
    }
  }).timeout(30_000);
});
