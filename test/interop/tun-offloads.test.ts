import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { NetHost, type NetWorker } from './support/net-host.ts';

const PORT = 5000;
const MB = 1 << 20;
const A = { ipv4: '10.9.0.1', ipv6: '2001:db8:9::1' };
const B = { ipv4: '10.9.0.2', ipv6: '2001:db8:9::2' };

/**
 * Two kernels whose only way to each other is two TUNs, between which a worker carries packets: it lives with the one
 * kernel and has given the other its TUN.
 */
describe('TUN with offloads, between two kernels', function () {
  this.timeout(60_000);
  let a: NetHost;
  let b: NetHost;
  let client: NetWorker;
  let worker: NetWorker;

  beforeEach(async () => {
    a = new NetHost('offload-a');
    b = new NetHost('offload-b');
    // As the guard makes it.
    a.ip('tuntap add dev tun-a mode tun');
    a.ip(`address add ${A.ipv4}/24 dev tun-a`);
    a.ip(`address add ${A.ipv6}/64 dev tun-a nodad`);
    const server = await b.worker();
    [client, worker] = await Promise.all([a.worker(), a.worker()]);
    for (const address of ['0.0.0.0', '::'])
      await server.do('tcpEcho', address, address === '::' ? PORT + 1 : PORT);
  });
  afterEach(async () => {
    await a?.close();
    await b?.close();
  });

  async function relay(worker: NetWorker, offloads: readonly [boolean, boolean], mtu = 1360): Promise<void> {
    expect(await worker.do('tun', 'tun-a', offloads[0])).to.equal(undefined);
    expect(await worker.do('tun', 'tun-b', offloads[1])).to.equal(undefined);
    a.ip(`link set tun-a up mtu ${mtu}`);
    a.ip(`link set tun-b netns ${b.name}`);
    b.ip(`address add ${B.ipv4}/24 dev tun-b`);
    b.ip(`address add ${B.ipv6}/64 dev tun-b nodad`);
    b.ip(`link set tun-b up mtu ${mtu}`);
    await worker.do('relay', 'tun-a', 'tun-b', mtu);
  }

  const send = async (bytes: number) => [
    await client.do('tcpSend', B.ipv4, PORT, bytes),
    await client.do('tcpSend', B.ipv6, PORT + 1, bytes),
  ];

  /** Packets as the kernel counts them: what it handed over and what it took. */
  function kernelPackets(host: NetHost, tun: string): { out: number; in: number } {
    const [shown] = JSON.parse(host.ip(`-j -s link show dev ${tun}`)) as {
      stats64: { rx: { packets: number }; tx: { packets: number } };
    }[];
    return { out: shown?.stats64.tx.packets ?? 0, in: shown?.stats64.rx.packets ?? 0 };
  }

  for (const mtu of [1360, 9000]) {
    it(`carries TCP of both families whole, in large segments on both sides and packets of ${mtu} bytes between`, async () => {
      await relay(worker, [true, true], mtu);
      for (const { isWhole } of await send(4 * MB)) expect(isWhole).to.equal(true);
      for (const [host, tun] of [
        [a, 'tun-a'],
        [b, 'tun-b'],
      ] as const) {
        const stats = await worker.do('stats', tun);
        expect(stats).to.include({ refused: 0, tooLong: 0, errors: 0 });
        const least = (8 * MB) / mtu;
        expect(stats.received).to.be.greaterThan(least);
        expect(stats.sent).to.be.greaterThan(least);
        const { out, in: taken } = kernelPackets(host, tun);
        expect(out, `${tun} out`).to.be.lessThan(stats.received / 2);
        expect(taken, `${tun} in`).to.be.lessThan(stats.sent / 2);
      }
    });
  }

  it('lets its persistent device be taken over with and without offloads, after a kill too, address and all', async () => {
    const addresses = () => a.ip('-o address show dev tun-a scope global').replaceAll(/valid_lft.*/g, '');
    const before = addresses();
    let known = 0;
    for (const isOn of [true, false, true]) {
      const each = await a.worker();
      await relay(each, [isOn, !isOn]);
      for (const { isWhole } of await send(MB)) expect(isWhole).to.equal(true);
      const { received } = await each.do('stats', 'tun-a');
      const out = kernelPackets(a, 'tun-a').out - known;
      known += out;
      if (isOn) expect(out).to.be.lessThan(received / 2);
      else expect(out).to.be.at.least(received);
      await each.kill();
      b.ip('link delete tun-b');
      expect(addresses()).to.equal(before);
    }
  });

  it('carries a train of UDP as the datagrams that it has', async () => {
    await relay(worker, [true, true]);
    const server = await b.worker();
    await server.do('udp', 'app', B.ipv4, 7000);
    // UDP_SEGMENT (103) of SOL_UDP (17).
    const train = `import socket as s; u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.bind(("${A.ipv4}", 7001)); u.setsockopt(17, 103, 1000)
u.sendto(b"Z" * 9000 + b"last", ("${B.ipv4}", 7000))`;
    a.run(`python3 -c '${train}'`);
    const got = await server.do('take', 'app', Buffer.from('last').toString('hex'));
    const datagrams = [...Array<string>(9).fill('5a'.repeat(1000)), Buffer.from('last').toString('hex')];
    expect(got).to.deep.equal(datagrams.map((datagram) => `${A.ipv4}:7001 ${datagram}`));
    expect(kernelPackets(a, 'tun-a').out).to.be.lessThan((await worker.do('stats', 'tun-a')).received);
  });

  it('goes without offloads where the kernel refuses them, and says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dvipa-refuse-'));
    const library = join(folder, 'refuse.so');
    const source = fileURLToPath(new URL('./support/refuse-offloads.c', import.meta.url));
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
    const each = await a.worker({ preload: [library] });
    rmSync(folder, { recursive: true });
    expect(await each.do('tun', 'tun-a', true)).to.equal('tun-a: Invalid argument');
    await each.kill();
  });
});
