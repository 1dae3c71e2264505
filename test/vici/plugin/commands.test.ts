import { expect } from 'chai';
import { openSession } from '../../../src/vici/connect.ts';
import {
  acknowledge,
  acquireSa,
  expireSa,
  listPlugin,
  pluginVersion,
  pushCounters,
  putState,
  reportMapping,
} from '../../../src/vici/plugin/commands.ts';
import type { ViciSession } from '../../../src/vici/session.ts';
import { FakePlugin, PLUGIN_INSTANCE, saSection } from '../../support/fake-plugin.ts';
import { expectRejects } from '../../support/vici.ts';
import { watchKeys } from '../../support/watch-keys.ts';

describe('vici plugin commands', () => {
  let plugin: FakePlugin;
  let session: ViciSession;
  const received = () => plugin.received.map(({ command, message }) => [command, message.toJSON()]);

  beforeEach(async () => {
    plugin = await new FakePlugin().start();
    session = await openSession(plugin.uri);
  });
  afterEach(async () => {
    session.close();
    await plugin.charon.destroy();
  });

  it('vici plugin version names plugin, daemon and instance, and says whether it delegates', async () => {
    const version = { plugin: '0.1.0', daemon: '5.9.8', instance: PLUGIN_INSTANCE };
    expect(await pluginVersion(session)).to.deep.equal({ ...version, delegates: true });
  });

  it('vici plugin ack names an SA or a policy', async () => {
    await acknowledge(session, { sa: '7' });
    await acknowledge(session, { policy: '8' });
    expect(received()).to.deep.equal([
      ['ack', { sa: '7' }],
      ['ack', { policy: '8' }],
    ]);
  });

  it('vici plugin counters are absolute totals by SA, in whole milliseconds', async () => {
    await pushCounters(
      session,
      new Map([
        ['1', { bytes: 2 ** 40, packets: 3, idleMs: 12.7 }],
        ['2', { bytes: 0, packets: 0, idleMs: -1 }],
      ]),
    );
    expect(received()).to.deep.equal([
      [
        'counters',
        {
          sas: {
            1: { bytes: '1099511627776', packets: '3', 'idle-ms': '13' },
            2: { bytes: '0', packets: '0', 'idle-ms': '0' },
          },
        },
      ],
    ]);
  });

  it('vici plugin counters of ten thousand SAs go in messages that fit, each SA once', async () => {
    const most = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER, idleMs: 10 ** 12 };
    const totals = new Map(Array.from({ length: 10_000 }, (_, i) => [`${10 ** 9 + i}`, most]));
    await pushCounters(session, totals);
    const ids = plugin.received.flatMap(({ message }) => message.section('sas')?.sections() ?? []);
    expect(new Set(ids.map(([id]) => id)).size).to.equal(10_000);
    expect(ids).to.have.length(10_000);
  });

  it('vici plugin expire is soft or hard, and mapping names the new address', async () => {
    await expireSa(session, '1', 'soft');
    await expireSa(session, '1', 'hard');
    await reportMapping(session, { sa: '1', address: '192.0.2.200', port: 1024 });
    expect(received()).to.deep.equal([
      ['expire', { sa: '1', hard: 'no' }],
      ['expire', { sa: '1', hard: 'yes' }],
      ['mapping', { sa: '1', address: '192.0.2.200', port: '1024' }],
    ]);
  });

  it('vici plugin acquire names a policy and the packet that waits', async () => {
    await acquireSa(session, {
      policy: 'out trap',
      protocol: 17,
      source: '203.0.113.10',
      sourcePort: 32_768,
      destination: '10.1.1.1',
      destinationPort: 0,
    });
    const packet = { protocol: '17', src: '203.0.113.10', sport: '32768', dst: '10.1.1.1', dport: '0' };
    expect(received()).to.deep.equal([['acquire', { policy: 'out trap', ...packet }]]);
  });

  it('vici plugin put keeps bytes with an SA or a DVIPA, and list gives them back', async () => {
    plugin.sas.set('1', saSection('1'));
    await putState(session, { sa: '1' }, Buffer.of(0, 1, 255));
    await putState(session, { dvipa: '203.0.113.10' }, Buffer.alloc(1024, 3));
    const { sas, states } = await listPlugin(session, () => undefined);
    expect(sas[0]?.state).to.deep.equal(Buffer.of(0, 1, 255));
    expect(states.get('203.0.113.10')).to.deep.equal(Buffer.alloc(1024, 3));
    await expectRejects('too-big', putState(session, { sa: '1' }, Buffer.alloc(1025)));
    await expectRejects('refused', putState(session, { sa: '99' }, Buffer.of(1)));
  });

  it('vici plugin list wipes the keys it read if it fails in the end', async () => {
    plugin.charon.on('list', (_, client) => {
      client.event('list-sa', { sa: saSection('1') });
      return { success: false, errmsg: 'out of memory' };
    });
    const keys = await watchKeys(() =>
      expectRejects(
        'refused',
        listPlugin(session, () => undefined),
      ),
    );
    expect(keys.map(({ isWiped }) => isWiped)).to.deep.equal([true]);
  });
});
