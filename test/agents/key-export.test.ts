import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { type ExportedSas, keyExport } from '../../src/agents/routing/key-export.ts';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { writeSecretFile } from '../../src/io/secret-file.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { createLog } from '../../src/observe/log.ts';
import { testSa } from '../support/test-sas.ts';

const IN = testSa({ spi: 0xc0000001, suite: 'aes256-sha256' });
const OUT = testSa({ spi: 0xd0000002, direction: 'out', hasEsn: true });
const CCM: SecurityAssociation = {
  ...testSa({ spi: 0xc0000003 }),
  encryption: { transform: 16, key: KeyMaterial.copyOf(Buffer.alloc(35, 0x5a)) },
};

const SAS: ExportedSas = {
  inbound: { values: () => [IN, CCM].map((sa) => ({ sa, owners: { top: 7n } })) },
  outbound: { values: () => [{ sa: OUT, numbering: { nextSequence: 2 ** 32 + 9 } }] },
};
const NO_SAS: ExportedSas = { inbound: { values: () => [] }, outbound: { values: () => [] } };

function keysOf({ encryption, integrity }: SecurityAssociation): Buffer[] {
  return [encryption.key, integrity?.key].flatMap((key) => (key === undefined ? [] : [key.reveal()]));
}

describe('an export of keys', () => {
  let folder: string;
  let file: string;
  let log: ReturnType<typeof createLog>;
  let lines: () => Promise<string[]>;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-keys-'));
    file = join(folder, 'esp_sa');
    let text = '';
    const stream = new Writable({
      write(chunk: Buffer, _, done) {
        text += chunk.toString();
        done();
      },
    });
    log = createLog({ level: 'debug', format: 'text', stream, isJournal: true });
    lines = async () => {
      await log.close();
      return text.split('\n').slice(0, -1);
    };
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is refused where the configuration names no file, and the refusal is logged', async () => {
    let writes = 0;
    const write = async () => void writes++;
    const run = keyExport({ config: () => undefined, sas: SAS, log, write });
    const failure = await run().then(
      () => 'none',
      (error: Error) => error.message,
    );
    expect(failure).to.equal(
      'key export is off; to allow it, set keys_export: { file: PATH } in the configuration of this agent',
    );
    expect(writes).to.equal(0);
    expect(await lines()).to.deep.equal([
      '<4>key export refused part="admin socket" command="keys export" reason=not-configured',
    ]);
  });

  it('writes what Wireshark can be told to a file of mode 0600, and names what is left out', async () => {
    const run = keyExport({ config: () => ({ file }), sas: SAS, log, write: writeSecretFile });
    expect(await run()).to.deep.equal({
      file,
      sas: 2,
      leftOut: [
        { spi: 'c0000003', algorithm: 'AES_CCM_16-256', reason: 'Wireshark does not know AES-CCM-16' },
      ],
    });
    expect(statSync(file).mode & 0o7777).to.equal(0o600);
    const [head = '', ...written] = readFileSync(file, 'utf8').split('\n');
    expect(head).to.match(/^# /);
    const [enc, mac, gcm] = [...keysOf(IN), ...keysOf(OUT)].map((key) => key.toString('hex'));
    expect(written).to.deep.equal([
      `"IPv4","*","192.0.2.10","0xc0000001","AES-CBC [RFC3602]","0x${enc}","HMAC-SHA-256-128 [RFC4868]","0x${mac}"`,
      '# c0000003 AES_CCM_16-256: Wireshark does not know AES-CCM-16',
      `"IPv4","192.0.2.10","${OUT.outer.destination}","0xd0000002","AES-GCM with 16 octet ICV [RFC4106]","0x${gcm}","NULL","","64-bit","0x00000001"`,
      '',
    ]);
  });

  it('leaves an audit line each time, and one when the agent starts; no key in answer or log', async () => {
    const run = keyExport({ config: () => ({ file }), sas: SAS, log, write: writeSecretFile });
    const answer = JSON.stringify(await run());
    const said = await lines();
    expect(said).to.deep.equal([
      `<4>key export is allowed path=${file}`,
      `<4>keys exported part="admin socket" command="keys export" path=${file} sas=2 count=1 event=keys-exported`,
    ]);
    for (const key of [IN, OUT, CCM].flatMap(keysOf)) {
      for (const form of [key.toString('hex'), key.toString('base64'), key.toString('latin1')]) {
        expect(said.join('\n') + answer).to.not.contain(form);
      }
    }
  });

  it('wipes what it wrote, also when that failed, and logs the failure', async () => {
    const given: Buffer[] = [];
    const write = (_: string, bytes: Buffer) => {
      given.push(bytes);
      expect(bytes.includes('0x')).to.equal(true);
      return Promise.reject(new Error('no space left'));
    };
    const run = keyExport({ config: () => ({ file }), sas: SAS, log, write });
    const failure = await run().then(
      () => 'none',
      (error: Error) => error.message,
    );
    expect(failure).to.equal(`keys_export: ${file}: no space left`);
    expect(given.map((bytes) => bytes.every((byte) => byte === 0))).to.deep.equal([true]);
    expect((await lines()).at(-1)).to.equal(
      `<4>key export failed part="admin socket" command="keys export" path=${file} error="no space left"`,
    );
    // The SAs keep their keys.
    expect(IN.encryption.key.isWiped).to.equal(false);
    expect(keysOf(IN)[0]?.every((byte) => byte === 0)).to.equal(false);
  });

  it('happens one at a time, and goes on after one that failed', async () => {
    let running = 0;
    let most = 0;
    let calls = 0;
    const write = async () => {
      running++;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (++calls === 1) throw new Error('first');
    };
    const run = keyExport({ config: () => ({ file }), sas: NO_SAS, log, write });
    const outcomes = await Promise.allSettled([run(), run(), run()]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'fulfilled', 'fulfilled']);
    expect(most).to.equal(1);
  });

  it('says so plainly where the folder is missing', async () => {
    const gone = join(folder, 'none/esp_sa');
    const run = keyExport({ config: () => ({ file: gone }), sas: NO_SAS, log, write: writeSecretFile });
    const failure = await run().then(
      () => 'none',
      (error: Error) => error.message,
    );
    expect(failure).to.equal(`keys_export: ${gone}: no such folder`);
  });
});
