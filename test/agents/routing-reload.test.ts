import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { RoutingReload } from '../../src/agents/routing/routing-reload.ts';
import type { RouteConfig } from '../../src/config/index.ts';
import type { TlsCredentials } from '../../src/io/tls-options.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { routeConfig, silent } from '../support/cluster/router.ts';
import { DVIPA, ENDPOINT } from '../support/inner-packets.ts';

const SECOND = '203.0.113.20';

describe('a reload of a running routing host', () => {
  let authority: TestAuthority;
  let tls: TlsCredentials;
  const file = (name: string) => join(authority.folder, name);

  before(async () => {
    authority = await TestAuthority.create();
    tls = await authority.issue('route', 'router1');
  });

  beforeEach(() => write(tls));

  after(() => authority.remove());

  function write({ ca, certificate, key }: TlsCredentials): void {
    for (const [name, text] of Object.entries({ ca, certificate, key })) writeFileSync(file(name), text);
  }

  /** The lab's configuration with these DVIPAs. */
  function config(...dvipas: string[]): RouteConfig {
    const plain = routeConfig(2);
    const [first] = plain.dvipas;
    if (first === undefined) throw new Error('no DVIPA');
    const coupling = {
      ...plain.coupling,
      ca: file('ca'),
      certificate: file('certificate'),
      key: file('key'),
    };
    return { ...plain, coupling, dvipas: dvipas.map((address) => ({ ...first, address })) };
  }

  /** Parts that note what they are told. */
  function setUp() {
    const said: string[] = [];
    const fails = new Set<string>();
    const say = (part: string, what = '') => {
      said.push(`${part}${what === '' ? '' : ` ${what}`}`);
      if (fails.has(part)) throw new Error(`${part} failed`);
    };
    const plugin = { dvipas: [DVIPA], endpoints: [ENDPOINT] };
    const refusals: string[] = [];
    const reload = new RoutingReload({
      log: silent,
      config: config(DVIPA),
      tls,
      guard: { change: async ({ dvipas }) => say('guard', dvipas.join('+')) },
      capture: { setFilter: (filter) => say('capture', String(filter(0).length > 0)) },
      charon: {
        addresses: async (isFresh) => {
          say('charon', isFresh ? 'fresh' : 'as it is');
          return plugin;
        },
        setDvipas: async (_store, dvipas) => say('epoch', dvipas.join('+')),
      },
      store: new MemoryStore(),
      reconfiguration: {
        refusals: () => refusals,
        apply: async ({ dvipas }) => say('packets', dvipas.map(({ address }) => address).join('+')),
      },
      changed: (_config, { certificate }) =>
        say('changed', certificate === tls.certificate ? '' : 'certificate'),
    });
    return { reload, said, fails, plugin, refusals };
  }

  async function failure(run: Promise<unknown>): Promise<string> {
    return run.then(
      () => 'nothing failed',
      (error: Error) => error.message,
    );
  }

  it('guards and captures what is new before it serves it, and what is gone until it does not', async () => {
    const { reload, said } = setUp();
    await reload.apply(config(SECOND));
    expect(said).to.deep.equal([
      `guard ${DVIPA}+${SECOND}`,
      'capture true',
      `epoch ${SECOND}`,
      'changed',
      `packets ${SECOND}`,
      `guard ${SECOND}`,
      'capture true',
    ]);
  });

  for (const part of ['guard', 'capture', 'epoch']) {
    it(`is as it was if this fails: ${part}`, async () => {
      const { reload, said, fails } = setUp();
      fails.add(part);
      const failed = failure(reload.apply(config(DVIPA, SECOND)));
      await new Promise((resolve) => setImmediate(resolve));
      expect(await failed).to.equal(`${part} failed`);
      expect(said.filter((each) => /^(packets|changed)/.test(each))).to.deep.equal([]);
      const guards = said.filter((each) => each.startsWith('guard'));
      if (part !== 'guard') expect(guards.at(-1)).to.equal(`guard ${DVIPA}`);
    });
  }

  it('asks once more, with the guard in place, whether anything is in use by now', async () => {
    const { reload, said, refusals } = setUp();
    expect((await reload.check(config(SECOND), true)).refused).to.deep.equal([]);
    refusals.push('in use');
    expect(await failure(reload.apply(config(SECOND)))).to.equal('not reloaded, nothing has changed\nin use');
    expect(said).to.not.include(`packets ${SECOND}`);
    expect(said.at(-2)).to.equal(`guard ${DVIPA}`);
  });

  it('refuses addresses by name that charon’s plugin does not know after it has read its settings', async () => {
    const { reload, said, plugin } = setUp();
    const { refused } = await reload.check(config(DVIPA, SECOND), false);
    expect(refused).to.have.lengthOf(1);
    expect(refused[0]).to.contain(`${SECOND} is not in the settings of charon's plugin`);
    plugin.dvipas = [DVIPA, SECOND];
    expect((await reload.check(config(DVIPA, SECOND), false)).refused).to.deep.equal([]);
    expect(said).to.deep.equal(['charon fresh', 'charon fresh']);
    plugin.endpoints = [];
    expect((await reload.check(config(DVIPA, SECOND), false)).refused[0]).to.contain(
      `endpoint: ${ENDPOINT} is not`,
    );
  });

  it('warns of addresses that the plugin still has; a dry run does not make charon read anything', async () => {
    const { reload, said } = setUp();
    const { refused, warnings = [] } = await reload.check(config(SECOND), true);
    expect([refused, said]).to.deep.equal([[], ['charon as it is']]);
    expect(warnings.map((warning) => warning.slice(0, 40))).to.deep.equal([
      `dvipas: ${SECOND} is not in the settings of charon's plugin`.slice(0, 40),
      `${DVIPA} is still in the settings of charon's plugin`.slice(0, 40),
    ]);
  });

  it('is refused if charon cannot say what its plugin serves, and does not ask if no address is another', async () => {
    const { reload, said, fails } = setUp();
    fails.add('charon');
    expect((await reload.check(config(SECOND), false)).refused[0]).to.contain('charon failed');
    const { refused } = await reload.check({ ...config(DVIPA), stamping: 'off' }, false);
    expect([refused, said]).to.deep.equal([[], ['charon fresh']]);
  });

  it('takes a renewed certificate, and refuses one that does not fit its key', async () => {
    const { reload, said } = setUp();
    const other = await authority.issueAnyUse('route', 'router1');
    write({ ...other, key: tls.key });
    const { refused } = await reload.check(config(DVIPA), false);
    expect(refused[0]).to.match(/^coupling: certificate, key or ca cannot be used: .*key values mismatch/);
    write(other);
    const { changes = [] } = await reload.check(config(DVIPA), false);
    expect(changes.map(({ path }) => path)).to.deep.equal(['coupling.certificate', 'coupling.key']);
    expect(JSON.stringify(changes)).to.not.contain('BEGIN');
    await reload.apply(config(DVIPA));
    expect(said).to.include('changed certificate');
    expect((await reload.check(config(DVIPA), false)).changes).to.deep.equal([]);
  });
});
