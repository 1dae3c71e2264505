import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { TargetReload } from '../../src/agents/target/target-reload.ts';
import type { TargetConfig } from '../../src/config/index.ts';
import { parseConfig } from '../../src/config/index.ts';
import type { TlsCredentials } from '../../src/io/tls-options.ts';
import { TARGET_YAML } from '../config/example.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';

const [FIRST, SECOND] = ['203.0.113.10', '203.0.113.20'];

describe('a reload of a running target', () => {
  let authority: TestAuthority;
  let tls: TlsCredentials;

  before(async () => {
    authority = await TestAuthority.create();
    tls = await authority.issue('target', 'target1');
    for (const [name, text] of Object.entries(tls)) writeFileSync(join(authority.folder, name), text);
  });

  after(() => authority.remove());

  function config(dvipas: readonly string[], manage = false): TargetConfig {
    const plain = parseConfig(TARGET_YAML, 'dvipa.yaml') as TargetConfig;
    const file = (name: string) => join(authority.folder, name);
    const files = { ca: file('ca'), certificate: file('certificate'), key: file('key') };
    return { ...plain, dvipas, sourcePorts: { manage }, coupling: { ...plain.coupling, ...files } };
  }

  function setUp(fails = false) {
    const said: string[] = [];
    const reload = new TargetReload({
      config: config([FIRST]),
      tls,
      guard: {
        change: async (dvipas) => void said.push(`guard ${dvipas.join('+')}`),
        addAddresses: async () => void said.push('addresses'),
      },
      listening: {
        setDvipas: (dvipas) => said.push(`listening ${dvipas.join('+')}`),
        look: async (isThorough) => {
          said.push(`look ${isThorough}`);
          if (fails && said.filter((each) => each.startsWith('look')).length === 1)
            throw new Error('no /proc');
        },
      },
      sourcePorts: { manage: async (isManaged) => void said.push(`manage ${isManaged}`) },
      host: {
        refusals: (dvipas) => (dvipas.includes(FIRST) ? [] : ['it is served']),
        configure: (dvipas) => said.push(`host ${dvipas.join('+')}`),
      },
      client: { configure: (_tls, { deadAfterMs }) => said.push(`client ${deadAfterMs}`) },
    });
    return { reload, said };
  }

  it('serves a new DVIPA in the order of a start: the guard first, the address last', async () => {
    const { reload, said } = setUp();
    const after = config([FIRST, SECOND], true);
    expect(await reload.check(after)).to.deep.equal({ refused: [], changes: [] });
    await reload.apply(after);
    const both = `${FIRST}+${SECOND}`;
    expect(said).to.deep.equal([
      `guard ${both}`,
      `listening ${both}`,
      'look true',
      `host ${both}`,
      'addresses',
      'client 1500',
      'manage true',
    ]);
  });

  it('serves what it served before if that fails', async () => {
    const { reload, said } = setUp(true);
    const failed = reload.apply(config([FIRST, SECOND])).catch((error: Error) => error.message);
    expect(await failed).to.equal('no /proc');
    expect(said.slice(3)).to.deep.equal([
      `guard ${FIRST}`,
      `listening ${FIRST}`,
      'look true',
      `host ${FIRST}`,
      'addresses',
    ]);
    await reload.apply(config([FIRST, SECOND]));
    expect(said).to.include(`host ${FIRST}+${SECOND}`);
  });

  it('touches neither guard nor addresses if the DVIPAs are the same', async () => {
    const { reload, said } = setUp();
    await reload.apply(config([FIRST], true));
    expect(said).to.deep.equal(['client 1500', 'manage true']);
  });

  it('is refused where the routing host still gives it what is to go', async () => {
    expect((await setUp().reload.check(config([SECOND]))).refused).to.deep.equal(['it is served']);
  });
});
