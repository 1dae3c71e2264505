import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { askAgent } from '../../src/io/admin-client.ts';
import type { StatusSnapshot } from '../../src/observe/snapshots.ts';
import { type CliResult, dvipa, resultOf, saysOnStderr } from '../cli/run-cli.ts';
import { NetHost } from './support/net-host.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Both agents as processes on hosts of their own, with no charon anywhere. */
describe('agents without charon', function () {
  this.timeout(120_000);
  let router: NetHost;
  let target: NetHost;
  let folder = '';
  const children: ChildProcess[] = [];

  before(async () => {
    router = new NetHost('cli-router');
    target = new NetHost('cli-target');
    NetHost.wire(router, 'outside0', target, 'outside0');
    NetHost.wire(router, 'cluster0', target, 'cluster0');
    router.ip('address add 192.0.2.1/24 dev outside0');
    router.ip('address add 192.0.2.10/32 dev outside0');
    router.ip('address add 198.51.100.1/24 dev cluster0');
    target.ip('address add 192.0.2.21/24 dev outside0');
    target.ip('address add 198.51.100.11/24 dev cluster0');
    folder = mkdtempSync(join(tmpdir(), 'dvipa-agents-'));
    const pki = join(folder, 'pki');
    await dvipa('pki', 'init', '--dir', pki);
    await dvipa('pki', 'issue', '--role', 'route', '--dir', pki, 'router1');
    await dvipa('pki', 'issue', '--role', 'target', '--dir', pki, 'target1');
    writeFileSync(
      join(folder, 'route.yaml'),
      `host: router1
role: route
dvipas: [{ address: 203.0.113.10, endpoint: 192.0.2.10, inbound_filter: filter, targets: [target1] }]
outside: { interface: outside0 }
cluster: { interface: cluster0, address: 198.51.100.1 }
targets: [{ host: target1, address: 198.51.100.11 }]
coupling: { ca: pki/ca.pem, certificate: pki/router1.pem, key: pki/router1.key }
charon: { vici: ${folder}/none.vici, plugin: ${folder}/none.dvipa }
admin: { socket: ${folder}/route.sock }
`,
    );
    writeFileSync(
      join(folder, 'target.yaml'),
      `host: target1
role: target
dvipas: [203.0.113.10]
router: { host: router1, address: 198.51.100.1 }
cluster: { interface: cluster0, address: 198.51.100.11 }
outside: { interface: outside0 }
coupling: { ca: pki/ca.pem, certificate: pki/target1.pem, key: pki/target1.key }
admin: { socket: ${folder}/target.sock }
`,
    );
  });

  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await router?.close();
    await target?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function start(
    host: NetHost,
    role: 'route' | 'target',
  ): { child: ChildProcess; result: Promise<CliResult> } {
    const node = [process.execPath, '--import', 'tsx', MAIN, role, '-c', join(folder, `${role}.yaml`)];
    const child = spawn('ip', ['netns', 'exec', host.name, ...node], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    return { child, result: resultOf(child) };
  }

  /** What an agent may change on its host. */
  function traces(host: NetHost): string {
    return [
      host.run('nft list ruleset'),
      host.ip('rule'),
      host.ip('-brief address').replaceAll(/ +fe80\S+/g, ''),
      host.run('cat /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/arp_ignore'),
    ].join('\n');
  }

  for (const role of ['route', 'target'] as const) {
    it(`a ${role} agent answers on its socket, says that charon is away, stops on SIGTERM and leaves no trace`, async () => {
      const host = role === 'route' ? router : target;
      const before = traces(host);
      const { child, result } = start(host, role);
      await saysOnStderr(child, 'agent started');
      const status = (await askAgent(join(folder, `${role}.sock`), 'status')) as StatusSnapshot;
      expect(status).to.deep.include({ role, epoch: 0 });
      expect(status.charon?.connected).to.equal(role === 'route' ? false : undefined);
      expect(traces(host)).to.contain('203.0.113.10').and.not.equal(before);
      child.kill('SIGTERM');
      expect(await result).to.include({ code: 0, signal: null });
      expect(traces(host)).to.equal(before);
      expect(existsSync(join(folder, `${role}.sock`))).to.equal(false);
    });

    it(`a second ${role} agent on the same socket is refused and disturbs nothing`, async () => {
      const host = role === 'route' ? router : target;
      const first = start(host, role);
      await saysOnStderr(first.child, 'agent started');
      const before = traces(host);
      const second = await start(host, role).result;
      expect(second).to.include({
        code: 1,
        stderr: `dvipa: another agent is running on ${folder}/${role}.sock\n`,
      });
      expect(traces(host)).to.equal(before);
      first.child.kill('SIGTERM');
      expect(await first.result).to.include({ code: 0, signal: null });
    });
  }
});
