import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { STOCK_COMMANDS, STOCK_EVENTS } from '../../src/vici/index.ts';
import { BuiltPackage } from '../support/built-package.ts';
import { FakeCharon } from '../support/fake-charon.ts';
import { examplesOf } from '../support/page-examples.ts';

const examples = examplesOf('docs/vici.md');
const codes = Object.fromEntries(examples.map(({ name, code }) => [name, code]));

/** What must compile, and what must not: the marked lines are errors, or the compiler complains. */
const CONSUMER = `
import { type ChildSa, connect, KeyMaterial, listSas, loadShared, STOCK_COMMANDS, systemClock, ViciConnection, ViciError }
  from 'strongswan-dvipa/vici';
const connection = new ViciConnection(await connect(), { clock: systemClock });
const children: ChildSa[] = (await listSas(connection)).flatMap((ike) => [...ike.children]);
const bytes: number | undefined = children[0]?.bytesIn;
const versions: Promise<{ version: string }> = STOCK_COMMANDS.version(connection);
// @ts-expect-error a secret is KeyMaterial, not text
await loadShared(connection, { type: 'IKE', secret: 'text' });
await loadShared(connection, { type: 'PPK', secret: KeyMaterial.copyOf(Buffer.from('x')) });
// @ts-expect-error no such type
await loadShared(connection, { type: 'RSA', secret: KeyMaterial.copyOf(Buffer.from('x')) });
// @ts-expect-error no such command
STOCK_COMMANDS['no-such-command'];
export const error: ViciError | undefined = undefined;
export { bytes, versions };
`;

describe('docs/vici.md', function () {
  this.timeout(60_000);
  let built: BuiltPackage;
  before(async () => {
    built = await BuiltPackage.build();
  });
  after(() => built?.remove());

  it('docs/vici.md has examples, and the package types, that compile where they are imported by name', async () => {
    expect(examples).to.have.length(4);
    expect(await built.compile({ ...codes, consumer: CONSUMER })).to.equal('');
    expect(await built.compile({ wrong: "import { nothing } from 'strongswan-dvipa/vici';" })).to.contain(
      'TS2305',
    );
  });

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
    try {
      const { stdout, stderr, status } = await built.execute('example1', charon.uri);
      expect(stderr).to.equal('');
      expect(stdout).to.match(examples[0]?.prints as RegExp);
      expect(status).to.equal(0);
    } finally {
      await charon.destroy();
    }
  });

  it('docs/vici.md has a row for every stock command and event, with the function that is for it', () => {
    const page = readFileSync(`${PROJECT_ROOT}/docs/vici.md`, 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z-]+)` \| `(\w+)` \|/gm)].map(([, name, by]) => [name, by]);
    const all = [...Object.entries(STOCK_COMMANDS), ...Object.entries(STOCK_EVENTS)];
    expect(rows).to.deep.equal(all.map(([name, by]) => [name, by.name]));
  });
});
