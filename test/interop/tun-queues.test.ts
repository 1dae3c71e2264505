import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ipv4Hex, udpHex } from './support/ipv4-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';

const PORT = 5000;
const MB = 1 << 20;
const QUEUES = 2;
const DVIPA = '203.0.113.10';
const PEER = '10.1.1.1';

/** What a promise was rejected with, or 'none'. */
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: Error) => error.message,
  );

describe('TUN with several queues, in real kernels', function () {
  this.timeout(60_000);
  const hosts: NetHost[] = [];
  const newHost = (name: string) => {
    const host = new NetHost(name);
    hosts.push(host);
    return host;
  };
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.close();
  });

  it('carries TCP of many connections whole, by two threads on both sides', async () => {
    const [a, b] = [newHost('queues-a'), newHost('queues-b')];
    const [client, worker, server] = await Promise.all([a.worker(), a.worker(), b.worker()]);
    for (const tun of ['tun-a', 'tun-b'])
      expect(await worker.do('tun', tun, true, QUEUES)).to.equal(undefined);
    a.ip(`link set tun-b netns ${b.name}`);
    for (const [host, tun, n] of [
      [a, 'tun-a', 1],
      [b, 'tun-b', 2],
    ] as const) {
      host.ip(`address add 10.9.0.${n}/24 dev ${tun}`);
      host.ip(`address add 2001:db8:9::${n}/64 dev ${tun} nodad`);
      host.ip(`link set ${tun} up mtu 1360`);
    }
    await worker.do('relay', 'tun-a', 'tun-b', 1360);
    await server.do('tcpEcho', '0.0.0.0', PORT);
    await server.do('tcpEcho', '::', PORT + 1);
    const sends = Array.from({ length: 8 }, (_, n) =>
      n % 2 === 0
        ? client.do('tcpSend', '10.9.0.2', PORT, MB)
        : client.do('tcpSend', '2001:db8:9::2', PORT + 1, MB),
    );
    for (const { isWhole } of await Promise.all(sends)) expect(isWhole).to.equal(true);
    for (const tun of ['tun-a', 'tun-b']) {
      expect(await worker.do('stats', tun)).to.include({ refused: 0, tooLong: 0, errors: 0 });
    }
    expect(await worker.do('crewRuns')).to.be.greaterThan(0);
  });

  describe('of a target', () => {
    const guardOf = (queues: number) => ({
      dvipas: [DVIPA],
      tun: { name: 'dvipa0', mtu: 1360, queues },
      links: [],
    });
    let host: NetHost;
    let hostWorker: NetWorker;
    beforeEach(async () => {
      host = newHost('queues-target');
      hostWorker = await host.worker();
    });

    /** Installs the guard and attaches, as an agent does; what it said of the TUN. */
    async function startAgent(
      queues: number,
      options: Parameters<NetHost['worker']>[0] = {},
    ): Promise<[NetWorker, unknown]> {
      const agent = await host.worker(options);
      await agent.do('targetInstall', guardOf(queues));
      const said = await agent.do('tun', 'dvipa0', true, queues);
      await agent.do('targetAddresses', guardOf(queues));
      return [agent, said];
    }

    /** How many are attached, as the kernel says; undefined of a device that has no queues. */
    function kernelQueues(): number | undefined {
      const [link] = JSON.parse(host.ip('-j -d link show dev dvipa0')) as {
        linkinfo: { info_data: { multi_queue: boolean; numqueues?: number } };
      }[];
      return link?.linkinfo.info_data.numqueues;
    }

    const numbered = (flow: number, n: number) =>
      ipv4Hex(PEER, DVIPA, 17, udpHex(1000 + flow, 7000, Buffer.from(`${flow} ${n}`).toString('hex')));

    it('delivers each flow in its order, and reads the answers of all of them', async () => {
      const [agent] = await startAgent(QUEUES);
      await hostWorker.do('udp', 'app', DVIPA, 7000);
      const flows = 12; // no more packets in all than a socket's buffer takes
      for (let round = 0; round < 2; round++) {
        const packets = Array.from({ length: flows * 8 }, (_, i) =>
          numbered(i % flows, round * 8 + Math.floor(i / flows)),
        );
        expect(await agent.do('send', 'dvipa0', ...packets)).to.deep.equal(packets.map(() => 0));
      }
      await agent.do('send', 'dvipa0', numbered(99, 0));
      // The last may have come on another queue than others, but the kernel takes what is written before the write returns.
      const got = await hostWorker.do('take', 'app', Buffer.from('99 0').toString('hex'));
      for (let flow = 0; flow < flows; flow++) {
        const ofFlow = got.filter((line) => line.startsWith(`${PEER}:${1000 + flow} `));
        const numbers = ofFlow.map((line) => Buffer.from(line.split(' ')[1] ?? '', 'hex').toString());
        expect(numbers).to.deep.equal(Array.from({ length: 16 }, (_, n) => `${flow} ${n}`));
      }
      for (let flow = 0; flow < flows; flow++) {
        const answer = Buffer.from(`answer ${flow}.`).toString('hex');
        await hostWorker.do('udpSend', 'app', PEER, 1000 + flow, answer);
        expect((await agent.do('take', 'dvipa0', answer)).length).to.equal(1);
      }
      expect(await agent.do('crewRuns')).to.be.greaterThan(0);
    });

    it('is made anew for another number of threads, under the same guard, with its address and the sockets on it', async () => {
      let [agent] = await startAgent(1);
      await hostWorker.do('udp', 'app', DVIPA, 7000);
      const state = () => host.run('nft list ruleset; ip rule; ip route show table all; ip -o address');
      const comparable = () =>
        state()
          .replaceAll(/packets \d+ bytes \d+|\s*valid_lft.*| linkdown/g, '')
          .replaceAll(/^\d+: /gm, '');
      const before = comparable();
      for (const [round, queues] of [2, 2, 1].entries()) {
        await agent.kill();
        await hostWorker.do('targetInstall', guardOf(queues));
        expect(host.ip('address show dev dvipa0'), 'before anybody puts it there').to.contain(`${DVIPA}/32`);
        [agent] = await startAgent(queues);
        expect(kernelQueues()).to.equal(queues > 1 ? queues : undefined);
        expect(comparable()).to.equal(before);
        await agent.do('targetInstall', guardOf(queues)); // as the keeper does while it is in use
        await agent.do('send', 'dvipa0', numbered(1, round));
        await hostWorker.do('take', 'app', Buffer.from(`1 ${round}`).toString('hex'));
      }
    });

    it('is not made anew under the hands of another process, and is not shared with one', async () => {
      const [first] = await startAgent(1);
      const second = await host.worker();
      const busy = 'Error: the TUN dvipa0 is in use by another process';
      expect(await failureOf(second.do('targetInstall', guardOf(2)))).to.equal(busy);
      await first.kill();
      await startAgent(2);
      expect(await failureOf(second.do('targetInstall', guardOf(2)))).to.equal(busy);
      expect(await failureOf(second.do('targetInstall', guardOf(1)))).to.equal(busy);
    });

    it('has one queue where the kernel has no more, and says so', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'dvipa-refuse-'));
      const library = join(folder, 'refuse.so');
      const source = fileURLToPath(new URL('./support/refuse-queues.c', import.meta.url));
      execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
      writeFileSync(join(folder, 'ip'), `#!/bin/sh\nLD_PRELOAD=${library} exec /sbin/ip "$@"\n`, {
        mode: 0o755,
      });
      const env = { PATH: `${folder}:${process.env['PATH']}` };
      const [agent, said] = await startAgent(2, { preload: [library], env });
      expect(kernelQueues()).to.equal(undefined);
      rmSync(folder, { recursive: true });
      expect(said).to.equal('one queue: dvipa0: Invalid argument');
      await hostWorker.do('udp', 'app', DVIPA, 7000);
      await agent.do('send', 'dvipa0', numbered(1, 0));
      await hostWorker.do('take', 'app', Buffer.from('1 0').toString('hex'));
    });

    it('tells when its device was deleted', async () => {
      const [agent] = await startAgent(QUEUES);
      const lost = agent.do('lost', 'dvipa0');
      host.ip('link delete dvipa0');
      await lost;
    });
  });
});
