import { expect } from 'chai';
import type { KeyMaterial } from '../../../src/base/key-material.ts';
import { connect } from '../../../src/vici/connect.ts';
import type { ViciError } from '../../../src/vici/error.ts';
import type { ViciFields } from '../../../src/vici/message.ts';
import { PluginSession } from '../../../src/vici/plugin/session.ts';
import type { PluginChange, PluginSnapshot } from '../../../src/vici/plugin/types.ts';
import { FakePlugin, PLUGIN_INSTANCE, policySection, saSection } from '../../support/fake-plugin.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/vici.ts';
import { watchKeys } from '../../support/watch-keys.ts';

describe('vici plugin session', () => {
  let plugin: FakePlugin;
  let clock: ManualClock;
  let session: PluginSession;
  let snapshots: PluginSnapshot[];
  let changes: PluginChange[];
  let story: string[];
  let invalid: ViciError[];

  const describeChange = (change: PluginChange) => {
    const of = 'sa' in change ? change.sa : 'policy' in change ? change.policy : change;
    return `${change.type} ${of.id}`;
  };

  beforeEach(async () => {
    plugin = await new FakePlugin().start();
    clock = new ManualClock();
    [snapshots, changes, story, invalid] = [[], [], [], []];
    session = new PluginSession(
      { clock, random: () => 0, open: (signal) => connect(plugin.uri, signal) },
      {
        onSnapshot(snapshot) {
          snapshots.push(snapshot);
          story.push(`snapshot ${snapshot.sequence}: ${snapshot.sas.map(({ id }) => id).join()}`);
        },
        onChange(change) {
          changes.push(change);
          story.push(describeChange(change));
        },
        onDisconnected: () => story.push('disconnected'),
        onInvalid: (error) => invalid.push(error),
      },
    );
  });
  afterEach(async () => {
    session.close();
    session.close();
    expect(clock.pending, 'timers left').to.equal(0);
    await plugin.charon.destroy();
  });

  const following = async () => {
    if (session.session.state === 'idle') session.start();
    await until(() => session.isFollowing, 'following');
  };
  const told = (lines: number) =>
    until(() => story.length >= lines, `${lines} lines, have ${story.join('; ')}`);

  it('vici plugin session subscribes, lists, and then follows', async () => {
    plugin.sas.set('1', saSection('1'));
    plugin.policies.set('2', policySection('2'));
    plugin.dvipaStates.set('203.0.113.10', Buffer.of(9));
    await following();
    expect(plugin.charon.log.indexOf('command list')).to.be.greaterThan(4);
    expect(snapshots[0]).to.deep.include({
      instance: PLUGIN_INSTANCE,
      sequence: 0,
      endpoints: ['192.0.2.10'],
    });
    expect(snapshots[0]?.policies.map(({ id }) => id)).to.deep.equal(['2']);
    expect(snapshots[0]?.states.get('203.0.113.10')).to.deep.equal(Buffer.of(9));
    plugin.addSa(saSection('3', { spi: 'c0000003' }));
    plugin.raise('sa-update', { sa: { ...saSection('3'), 'encr-key': undefined } });
    plugin.addPolicy(policySection('4'));
    plugin.deleteSa('1');
    plugin.raise('policy-delete', { policy: { id: '2', key: 'out a === b' } });
    await told(6);
    expect(story).to.deep.equal([
      'snapshot 0: 1',
      'sa-add 3',
      'sa-update 3',
      'policy-add 4',
      'sa-delete 1',
      'policy-delete 2',
    ]);
    expect(session.instance).to.equal(PLUGIN_INSTANCE);
  });

  it('vici plugin session lists again when a number is missing, and loses nothing', async () => {
    await following();
    plugin.addSa(saSection('1'));
    await told(2);
    plugin.sas.set('2', saSection('2'));
    plugin.sequence += 1; // the event of SA 2 is lost
    plugin.addSa(saSection('3'));
    await told(3);
    plugin.addSa(saSection('4'));
    await told(4);
    expect(story).to.deep.equal(['snapshot 0: ', 'sa-add 1', 'snapshot 3: 1,2,3', 'sa-add 4']);
  });

  it('vici plugin session drops events that the list contains already, and delivers those after it', async () => {
    plugin.charon.on('list', (_, client) => {
      plugin.addSa(saSection('1')); // contained
      client.event('list-sa', { sa: saSection('1') });
      const seq = plugin.sequence;
      plugin.addSa(saSection('2')); // later
      return { instance: plugin.instance, seq, dvipas: [], endpoints: [] };
    });
    await following();
    await told(2);
    expect(story).to.deep.equal(['snapshot 1: 1', 'sa-add 2']);
  });

  it('vici plugin session lists anew after charon came back with another instance', async () => {
    plugin.sas.set('1', saSection('1'));
    await following();
    await plugin.restart('1111111111111111');
    plugin.sas.set('1', saSection('1', { spi: 'c0000009' }));
    await told(2);
    expect(session.isFollowing).to.equal(false);
    clock.advance(100);
    await told(3);
    expect(story).to.deep.equal(['snapshot 0: 1', 'disconnected', 'snapshot 0: 1']);
    expect([session.instance, snapshots[1]?.sas[0]?.spi]).to.deep.equal(['1111111111111111', 0xc0000009]);
  });

  it('vici plugin session lists anew when an event names another instance', async () => {
    await following();
    plugin.instance = '2222222222222222';
    plugin.raise('policy-delete', { policy: { id: '1', key: 'k' } });
    await told(2);
    expect(story).to.deep.equal(['snapshot 0: ', 'snapshot 1: ']);
    expect(session.instance).to.equal('2222222222222222');
  });

  it('vici plugin session leaves out what is invalid, reports it, and goes on without a gap', async () => {
    plugin.sas.set('1', saSection('1')).set('2', saSection('2', { spi: 'nonsense' }));
    await following();
    plugin.raise('sa-add', { sa: saSection('3', { mode: 'beet' }) });
    plugin.addSa(saSection('4'));
    await told(2);
    expect(story).to.deep.equal(['snapshot 0: 1', 'sa-add 4']);
    expect(invalid.map(({ message }) => message)).to.deep.equal([
      'sa.spi: expected 8 hex digits',
      'sa.mode: expected one of tunnel, transport',
    ]);
  });

  it('vici plugin session begins anew, after a delay, when a list ends in nonsense', async () => {
    let isBroken = true;
    plugin.charon.on(
      'list',
      (): ViciFields =>
        isBroken ? { seq: 'x' } : { instance: plugin.instance, seq: 0, dvipas: [], endpoints: [] },
    );
    session.start();
    await told(1);
    expect(story).to.deep.equal(['disconnected']);
    isBroken = false;
    clock.advance(50);
    await told(2);
    expect(story[1]).to.equal('snapshot 0: ');
  });

  it('vici plugin session wipes the keys of events that the list contains already', async () => {
    plugin.charon.on('list', async (_, client) => {
      plugin.addSa(saSection('1'));
      await until(() => made.length === 1, 'event read');
      client.event('list-sa', { sa: saSection('1') });
      return { instance: plugin.instance, seq: plugin.sequence, dvipas: [], endpoints: [] };
    });
    let made: readonly KeyMaterial[] = [];
    await watchKeys(following, (keys) => (made = keys));
    expect(made.map(({ isWiped }) => isWiped)).to.deep.equal([true, false]);
    expect(snapshots[0]?.sas[0]?.encryptionKey).to.equal(made[1]);
  });

  it('vici plugin session wipes the keys of events that wait when it is closed or loses the plugin', async () => {
    plugin.charon.on('list', () => undefined);
    let made: readonly KeyMaterial[] = [];
    await watchKeys(
      async () => {
        session.start();
        await until(() => plugin.charon.log.includes('command list'));
        plugin.addSa(saSection('1'));
        await until(() => made.length === 1);
        await plugin.charon.stop();
        await until(() => story.length === 1);
        expect(made[0]?.isWiped).to.equal(true);
        await plugin.charon.start();
        clock.advance(50);
        await until(() => plugin.charon.log.filter((line) => line === 'command list').length === 2);
        plugin.addSa(saSection('2'));
        await until(() => made.length === 2);
        session.close();
      },
      (keys) => (made = keys),
    );
    expect(made.map(({ isWiped }) => isWiped)).to.deep.equal([true, true]);
  });

  it('vici plugin session follows no more after close, in the middle of a list too', async () => {
    plugin.charon.on('list', () => undefined);
    session.start();
    await until(() => plugin.charon.log.includes('command list'));
    session.close();
    plugin.addSa(saSection('1'));
    await until(() => plugin.charon.clients.size === 0);
    expect(story).to.deep.equal([]);
  });
});
