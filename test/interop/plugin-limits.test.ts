import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Lab } from '../../src/lab/lab.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { encodePacket, pluginVersion, type ViciError, ViciMessage } from '../../src/vici/index.ts';
import {
  charonLog,
  editFile,
  PLUGIN_LAB,
  PluginWatcher,
  routerSocket,
  startPluginLab,
} from '../support/plugin-lab.ts';

/** Longer than the default of 200, so that a slow machine is not taken for a wait. */
const WAIT_MS = 500;

// What the plugin refuses, how long it waits, and what it does on its own: with a real charon and a stock client.
describe('plugin kernel-dvipa, limits', () => {
  let lab: Lab;

  before(async () => {
    lab = await startPluginLab({ add_sa_wait_ms: WAIT_MS });
  });

  after(async () => {
    await lab?.release();
    await Lab.downAny(PLUGIN_LAB);
  });

  /** Loads the swanctl.conf of both hosts anew, with other values for the templates, then edited. */
  const reconfigure = async (
    values: Record<string, string>,
    edits: Partial<Record<'router1' | 'client1', (text: string) => string>> = {},
  ) => {
    await down();
    for (const host of ['router1', 'client1'] as const) {
      lab.rewriteConfiguration(host, values);
      const edit = edits[host];
      if (edit !== undefined) editFile(host, 'swanctl/swanctl.conf', edit);
      await lab.host(host).must(['swanctl', '--load-all', '--noprompt']);
    }
  };
  const down = async () => {
    await lab.host('client1').exec(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '5']);
    await waitFor('no IKE_SA', async () => {
      return (await lab.router.must(['swanctl', '--list-sas'])) === '';
    });
  };
  const initiate = () =>
    lab.initiate('client1').then(
      () => 'established',
      () => 'failed',
    );
  /** Whole lines that the plugin logged while `work` ran. */
  const refusals = async (work: () => Promise<unknown>) => {
    const from = charonLog('router1').length;
    await work();
    return charonLog('router1')
      .slice(from)
      .split('\n')
      .flatMap((line) => /\[KNL\] kernel-dvipa: (.*refused: .*)$/.exec(line)?.[1] ?? []);
  };
  const isEmpty = async () => {
    const watcher = await PluginWatcher.start();
    watcher.close();
    const [snapshot] = watcher.snapshots;
    return snapshot?.sas.length === 0 && snapshot.policies.length === 0;
  };

  describe('refuses with one line an SA that says why, and installs nothing of', () => {
    const insert = (after: RegExp, lines: string) => (text: string) =>
      text.replace(after, (found) => `${found}\n${lines}`);
    const replace = (what: RegExp | string, by: string) => (text: string) => text.replace(what, by);
    const cases: {
      name: string;
      values?: Record<string, string>;
      router?: (text: string) => string;
      client?: (text: string) => string;
      reason: string;
    }[] = [
      {
        name: '3DES',
        values: { esp_proposals: '3des-sha256' },
        reason: 'encryption other than NULL, AES-CBC',
      },
      {
        name: 'AES-CBC with HMAC-MD5',
        values: { esp_proposals: 'aes128-md5' },
        reason: 'integrity other than HMAC-SHA1-96',
      },
      {
        name: 'Camellia',
        values: { esp_proposals: 'camellia128-sha256' },
        reason: 'encryption other than NULL, AES-CBC',
      },
      {
        name: 'traffic of a network around a DVIPA',
        router: replace('local_ts = 203.0.113.10/32', 'local_ts = 203.0.113.0/24'),
        client: replace('remote_ts = 203.0.113.10/32', 'remote_ts = 203.0.113.0/24'),
        reason: 'a traffic selector beyond the DVIPA',
      },
      {
        name: 'traffic that is not of a DVIPA',
        router: replace('local_ts = 203.0.113.10/32', 'local_ts = 203.0.114.0/24'),
        client: replace('remote_ts = 203.0.113.10/32', 'remote_ts = 203.0.114.0/24'),
        reason: 'our traffic selector is no DVIPA',
      },
      {
        name: 'traffic of a DVIPA and something else',
        router: replace('local_ts = 203.0.113.10/32', 'local_ts = 203.0.113.10/32, 203.0.113.77/32'),
        client: replace('remote_ts = 203.0.113.10/32', 'remote_ts = 203.0.113.10/32, 203.0.113.77/32'),
        reason: 'a traffic selector beyond the DVIPA',
      },
      {
        name: 'an SA with a mark',
        router: insert(/local_ts = .*/, '        mark_in = 42\n        mark_out = 42'),
        reason: 'marks',
      },
      {
        name: 'an SA of an interface id',
        router: insert(/local_ts = .*/, '        if_id_in = 7\n        if_id_out = 7'),
        reason: 'interface ids',
      },
      {
        name: 'an IKE address that is no endpoint',
        router: replace('local_addrs = 192.0.2.10', 'local_addrs = 192.0.2.1'),
        client: replace('remote_addrs = 192.0.2.10', 'remote_addrs = 192.0.2.1'),
        reason: 'our address is neither an endpoint nor a DVIPA',
      },
    ];
    for (const { name, values, router, client, reason } of cases) {
      it(name, async () => {
        await reconfigure(values ?? {}, {
          ...(router === undefined ? {} : { router1: router }),
          ...(client === undefined ? {} : { client1: client }),
        });
        const said = await refusals(async () => expect(await initiate()).to.equal('failed'));
        // charon tries both directions; a mark of the inbound direction is one of the policy only.
        expect(said).to.have.length(reason === 'marks' ? 1 : 2);
        expect(said[0]).to.match(
          /^(in|out)bound SA with SPI [0-9a-f]{8} from [\d.]+\[\d+\] to [\d.]+\[\d+\] is refused: /,
        );
        expect(said[0]).to.contain(reason);
        expect(await isEmpty()).to.equal(true);
      });
    }

    for (const [name, router] of [
      ['a policy that lets a DVIPA out in clear', 'mode = pass'],
      ['a drop policy of somebody else', 'mode = drop'],
    ] as const) {
      it(name, async () => {
        const address = name.startsWith('a policy') ? '203.0.113.10' : '203.0.113.99';
        const shunt = `    shunt {\n        ${router}\n        local_ts = ${address}/32\n        remote_ts = 10.9.0.0/16\n        start_action = trap\n      }`;
        const said = await refusals(() => reconfigure({}, { router1: insert(/children \{/, `  ${shunt}`) }));
        expect(said.join()).to.match(
          /policy .* is refused: a (bypass policy of a|drop policy of what is no) DVIPA/,
        );
        expect(await isEmpty()).to.equal(true);
      });
    }
  });

  const taken: [proposals: string, encryptionBytes: number, integrityBytes: number | undefined][] = [
    ['aes192gcm16', 28, undefined],
    ['aes256gcm16', 36, undefined],
    ['aes128gcm16-esn', 20, undefined],
    ['aes256ccm8', 35, undefined],
    ['aes128-sha256', 16, 32],
    ['aes256-sha1-esn', 32, 20],
    ['aes192ctr-sha512', 28, 64],
  ];
  for (const [proposals, encryptionBytes, integrityBytes] of taken) {
    it(`takes ${proposals}`, async () => {
      await reconfigure({ esp_proposals: proposals });
      const watcher = await PluginWatcher.start();
      // The client's kernel-libipsec has no ESN: it takes its SAs away again. Ours were told.
      const isEsn = proposals.endsWith('-esn');
      const said = await refusals(async () =>
        expect(await initiate()).to.equal(isEsn ? 'failed' : 'established'),
      );
      expect(said).to.deep.equal([]);
      await waitFor('the SAs', () => watcher.said().includes(isEsn ? 'sa-add out' : 'policy-add out'));
      const { encryptionKey, integrityKey, hasEsn } = watcher.newest('in');
      expect(encryptionKey.lengthBytes).to.equal(encryptionBytes);
      expect(integrityKey?.lengthBytes).to.equal(integrityBytes);
      expect(hasEsn).to.equal(isEsn);
      watcher.close();
    });
  }

  it('raises the soft time limit of an SA itself, and the hard one, each once', async () => {
    await reconfigure(
      { rekey_time: '2s' },
      {
        router1: (text) =>
          text.replace(/rekey_time = 2s/, '$&\n        rand_time = 0\n        life_time = 20s'),
      },
    );
    const watcher = await PluginWatcher.start();
    expect(await initiate()).to.equal('established');
    await waitFor('a rekey', () => watcher.said().includes('sa-delete out'));
    expect(
      watcher.changes.flatMap((change) => (change.type === 'sa-add' ? [change.sa.seconds.hard] : [])),
    ).to.include(20);
    const log = charonLog('router1');
    expect(log).to.match(/SA with SPI [0-9a-f]{8} reached its soft limit/);
    watcher.close();

    // No rekey: the hard limit ends it.
    await reconfigure(
      { rekey_time: '0' },
      { router1: (text) => text.replace(/rekey_time = 0$/m, '$&\n        life_time = 2s') },
    );
    const from = charonLog('router1').length;
    const second = await PluginWatcher.start();
    expect(await initiate()).to.equal('established');
    await waitFor('the hard limit', () => second.said().includes('sa-delete in'));
    expect(charonLog('router1').slice(from)).to.match(/reached its hard limit/);
    second.close();
    await reconfigure({});
  });

  describe('as a barrier', () => {
    const log = () => charonLog('router1').match(/3 are not acknowledged/g)?.length ?? 0;
    const timed = async (work: () => Promise<unknown>) => {
      const start = performance.now();
      await work();
      return performance.now() - start;
    };

    it('does not hold up anything when no agent is there, or when it acknowledges at once', async () => {
      const before = log();
      await reconfigure({});
      expect(await timed(initiate)).to.be.lessThan(2 * WAIT_MS);
      await down();
      const watcher = await PluginWatcher.start();
      expect(await timed(initiate)).to.be.lessThan(2 * WAIT_MS);
      watcher.close();
      expect(log()).to.equal(before);
    });

    it('waits as long as configured for two SAs and the outbound policy, all at once, if the agent is silent, then goes on', async () => {
      await reconfigure({});
      const watcher = await PluginWatcher.start();
      watcher.acknowledges = false;
      const before = log();
      const elapsed = await timed(async () => expect(await initiate()).to.equal('established'));
      expect(elapsed).to.be.within(WAIT_MS, 2 * WAIT_MS);
      expect(log()).to.equal(before + 1);
      watcher.close();
    });

    it('is lifted when the agent goes away', async () => {
      await reconfigure({});
      const watcher = await PluginWatcher.start();
      watcher.acknowledges = false;
      const work = timed(initiate);
      await waitFor('the first SA', () => watcher.changes.length > 0, { everyMs: 2 });
      watcher.close();
      expect(await work).to.be.lessThan(2 * WAIT_MS);
    });
  });

  describe('with clients that are wrong', () => {
    /** A client of raw bytes: resolves with what came back when the plugin has closed it. */
    const raw = (...bytes: Buffer[]) =>
      new Promise<Buffer>((resolve) => {
        const socket = net.connect(routerSocket('charon.dvipa'));
        const came: Buffer[] = [];
        socket.on('data', (chunk) => came.push(chunk));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(Buffer.concat(came)));
        for (const one of bytes) socket.write(one);
      });
    const frame = (...bytes: number[]) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return Buffer.concat([length, Buffer.from(bytes)]);
    };

    for (const [name, bytes] of [
      ['an empty packet', [Buffer.alloc(4)]],
      ['a packet that is too long', [Buffer.from([0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(100)]],
      ['an unknown packet type', [frame(99, 1, 0x61)]],
      ['a name beyond the end', [frame(0, 200, 0x61)]],
      ['an event of its own', [frame(7, 1, 0x61)]],
      ['a section that does not end', [frame(0, 1, 0x61, 1, 1, 0x62)]],
      ['a value beyond the end', [frame(0, 1, 0x61, 3, 1, 0x62, 0xff, 0xff)]],
      ['sections without end', [frame(0, 1, 0x61, ...Array.from({ length: 600 }, () => [1, 0]).flat())]],
    ] as const) {
      it(`disconnects one that sends ${name}`, async () => {
        expect((await raw(...bytes)).length).to.equal(0);
      });
    }

    it('answers that it does not know a command or an event', async () => {
      const socket = net.connect(routerSocket('charon.dvipa'));
      socket.write(frame(0, 1, 0x61));
      socket.write(frame(3, 1, 0x61));
      const came: Buffer[] = [];
      socket.on('data', (chunk) => came.push(chunk));
      await waitFor('both answers', () => Buffer.concat(came).length === 10);
      expect(Buffer.concat(came)).to.deep.equal(Buffer.from([0, 0, 0, 1, 2, 0, 0, 0, 1, 6]));
      socket.destroy();
    });

    it('refuses wrong arguments and stays connected', async () => {
      const watcher = await PluginWatcher.start();
      const { session } = watcher.session;
      const wrong = (command: string, fields: Parameters<typeof ViciMessage.of>[0]) =>
        session.request(command, ViciMessage.of(fields)).then(
          () => 'taken',
          (error: ViciError) => error.code,
        );
      for (const [command, fields] of [
        ['ack', {}],
        ['ack', { sa: '1', policy: '2' }],
        ['ack', { sa: '99999999999999999999999' }],
        ['counters', { sas: '1' }],
        ['counters', { sas: { 1: { bytes: '-1', packets: '1', 'idle-ms': '0' } } }],
        ['expire', { sa: '1', hard: 'maybe' }],
        ['mapping', { sa: '1', address: '999.1.1.1', port: '1' }],
        ['mapping', { sa: '1', address: '192.0.2.1', port: '65536' }],
        ['put', { dvipa: '203.0.113.10', state: Buffer.alloc(1025) }],
        ['put', { state: Buffer.alloc(1) }],
      ] as const) {
        expect(await wrong(command, fields), command).to.equal('refused');
      }
      await pluginVersion(session);
      watcher.close();
    });

    it('turns away those beyond 16 and serves the others', async () => {
      const sockets = Array.from({ length: 20 }, () => net.connect(routerSocket('charon.dvipa')));
      let closed = 0;
      for (const socket of sockets) socket.on('error', () => undefined).on('close', () => (closed += 1));
      await waitFor('those turned away', () => closed >= 4);
      for (const socket of sockets) socket.destroy();
      await waitFor('place again', async () => {
        const watcher = await PluginWatcher.start();
        watcher.close();
        return true;
      });
    });

    it('does not let a subscriber that never reads stop charon, nor let it cost memory without end', async () => {
      await reconfigure({});
      const stuck = net.connect(routerSocket('charon.dvipa'));
      stuck.on('error', () => undefined);
      stuck.pause();
      for (const event of ['sa-add', 'list-sa', 'list-policy'])
        stuck.write(encodePacket({ type: 'event-register', name: event }));
      // Answers are not read either: nothing more of this client is handled.
      for (let i = 0; i < 5000; i++) stuck.write(frame(0, 4, ...Buffer.from('list')));
      await sleep(300);
      expect(await initiate()).to.equal('established');
      const watcher = await PluginWatcher.start();
      expect(watcher.snapshots[0]?.sas).to.have.length(2);
      watcher.close();
      stuck.destroy();
    });
  });
});
