import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LabHostPlan } from '../../src/lab/addresses.ts';
import { labStatus, readLabHost } from '../../src/lab/attach.ts';
import { startCapture } from '../../src/lab/capture.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import type { LabOptions } from '../../src/lab/options.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { must, run } from '../../src/lab/run.ts';
import { classifyOutside, countClasses } from '../../src/lab/wire-class.ts';

// A lab of its own name: what is tested here is the lab itself, with stock charons at both ends.
const options: LabOptions = {
  prefix: 'dvipatest',
  folder: join(tmpdir(), 'dvipa-lab-test'),
  targets: 1,
  clients: 1,
  agents: false,
  values: { kernel_ipsec: 'kernel-libipsec' },
  tunnels: false,
};

const namespaces = async () =>
  (await must(['ip', 'netns', 'list'])).split('\n').filter((line) => line.startsWith('dvipatest-'));

describe('lab', () => {
  let lab: Lab | undefined;

  after(async () => {
    await lab?.release();
    await Lab.downAny(options);
  });

  it('down without up does nothing and is no fault', async () => {
    await Lab.downAny(options);
    expect(await Lab.downAny(options)).to.equal(false);
    expect(labStatus('dvipatest')).to.deep.equal({ up: false, hosts: [], processes: [] });
    expect(() => readLabHost('router1', 'dvipatest')).to.throw('the lab is down');
  });

  it('up builds hosts that reach each other, with a /run and an address of their own', async () => {
    lab = await Lab.up(options);
    expect(labStatus('dvipatest').up).to.equal(true);
    expect(await namespaces()).to.have.length(5);
    await lab.host('client1').must(['ping', '-c', '1', '-W', '2', '192.0.2.10']);
    await lab.host('target1').must(['ping', '-c', '1', '-W', '2', '198.51.100.1']);
    expect(
      (await lab.host('client1').exec(['ping', '-c', '1', '-W', '1', '198.51.100.1'])).status,
    ).to.not.equal(0);
    await lab.host('client1').must(['touch', '/run/mine']);
    expect(existsSync('/run/mine')).to.equal(false);
    expect((await lab.router.exec(['test', '-e', '/run/mine'])).status).to.equal(1);
  });

  it('carries packets as wires do: what a sender hands over as one crosses as many', async () => {
    const cluster = lab?.host('cluster');
    if (lab === undefined || cluster === undefined) throw new Error('not up');
    const file = join(options.folder ?? '', 'segments.pcap');
    const capture = await startCapture(cluster, undefined, file, { filter: ['udp', 'port', '4999'] });
    const send = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
s.sendto(bytes(20000), ('198.51.100.11', 4999))`;
    await lab.router.must(['python3', '-c', send]);
    const { packets } = readPcap((await capture.stop()).file);
    expect(packets.map(({ originalLength }) => originalLength)).to.deep.equal(Array(20).fill(1042));
  });

  it('negotiates an SA between a client and the routing host with certificates', async () => {
    if (lab === undefined) throw new Error('not up');
    // The stock backend of this test wants the tunnel's near address on the host itself.
    await lab.router.must(['ip', 'addr', 'add', lab.scenario.dvipa, 'dev', 'lo']);
    await lab.initiate('client1');
    const sas = await lab.router.must(['swanctl', '--list-sas']);
    expect(sas).to.match(/web: #\d+, reqid \d+, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128/);
    expect(sas).to.contain("remote 'client1' @ 192.0.2.101");
    expect(readFileSync(lab.router.logFile('charon'), 'utf8')).to.contain('CHILD_SA web');
  });

  it('captures what crosses the outside network, and says that it lost nothing', async () => {
    if (lab === undefined) throw new Error('not up');
    const file = join(options.folder ?? '', 'outside.pcap');
    const capture = await startCapture(lab.host('outside'), undefined, file);
    await lab.host('client1').must(['ping', '-c', '3', '-i', '0.2', lab.scenario.dvipa]);
    const { packets, droppedByKernel } = await capture.stop();
    expect(droppedByKernel).to.equal(0);
    expect(packets).to.be.at.least(6);
    // Two witnesses: tcpdump and the lab's own classes.
    const seen = await must(['tcpdump', '-nr', file, 'udp', 'port', '4500']);
    expect(seen.match(/UDP-encap: ESP/g)).to.have.length(6);
    const { esp, other } = countClasses(readPcap(file), classifyOutside);
    expect([esp, other]).to.deep.equal([6, undefined]);
  });

  it('up after a crash ends what was left and builds everything anew', async () => {
    if (lab === undefined) throw new Error('not up');
    const before = labStatus('dvipatest').processes;
    const old = lab.process('router1', 'charon');
    // As if the process that holds the lab had died: the lock is free, nothing else was cleaned up.
    await lab.release();
    lab = await Lab.up(options);
    expect(old.isRunning()).to.equal(false);
    const now = labStatus('dvipatest').processes;
    expect(now.every(({ running }) => running)).to.equal(true);
    expect(now.map(({ pid }) => pid)).to.not.include.members(before.map(({ pid }) => pid));
  });

  it('restarts a process that was killed', async () => {
    if (lab === undefined) throw new Error('not up');
    const old = lab.process('client1', 'charon');
    await old.kill('SIGKILL');
    expect(old.isRunning()).to.equal(false);
    const next = await lab.startCharon('client1');
    expect(next.isRunning()).to.equal(true);
    await lab.host('client1').must(['swanctl', '--stats']);
  });

  it('down leaves no process, no namespace and no interface', async () => {
    const links = await must(['ip', '-o', 'link']);
    const running = labStatus('dvipatest').processes;
    await lab?.down();
    lab = undefined;
    expect(await namespaces()).to.deep.equal([]);
    expect(running.filter(({ pid }) => existsSync(`/proc/${pid}`))).to.deep.equal([]);
    expect(labStatus('dvipatest').up).to.equal(false);
    expect((await must(['ip', '-o', 'link'])).split('\n').length).to.equal(links.split('\n').length);
  });
});

/** A connection of its own between two hosts of the lab, with the certificates that they have. */
function peering(local: LabHostPlan, remote: LabHostPlan, way: 'native' | 'udp'): string {
  const children = (['', '6'] as const).map(
    (family) => `
      inner${family} {
        local_ts = ${local[`innerAddress${family}`]}
        remote_ts = ${remote[`innerAddress${family}`]}
        esp_proposals = aes128gcm16${way === 'native' ? '-esn' : ''}
      }`,
  );
  return `connections {
  peering {
    version = 2
    local_addrs = ${local.outsideAddress}
    remote_addrs = ${remote.outsideAddress}
    proposals = aes128-sha256-x25519
    mobike = no
    encap = ${way === 'udp' ? 'yes' : 'no'}
    local {
      auth = pubkey
      certs = ${local.name}.pem
      id = ${local.name}
    }
    remote {
      auth = pubkey
      id = ${remote.name}
    }
    children {${children.join('')}
    }
  }
}
`;
}

describe('lab with Linux kernels', function () {
  this.timeout(120_000);
  const options: LabOptions = {
    prefix: 'dvipakern',
    folder: join(tmpdir(), 'dvipa-lab-kernels'),
    scenario: 'matrix',
    targets: 0,
    clients: 1,
    kernels: 2,
    agents: false,
    tunnels: false,
    values: { kernel_ipsec: 'kernel-libipsec' },
  };
  let lab: Lab;

  before(async () => {
    lab = await Lab.up(options);
  });
  after(async () => {
    await lab?.release();
    await Lab.downAny(options);
  });

  async function peer(one: string, other: string, way: 'native' | 'udp'): Promise<void> {
    const [a, b] = [one, other].map((name) => lab.plan.find((host) => host.name === name));
    if (a === undefined || b === undefined) throw new Error(`${one}, ${other}`);
    for (const [local, remote] of [
      [a, b],
      [b, a],
    ] as const) {
      const file = join(hostFolder(lab.options.folder, local.name), 'swanctl/peering.conf');
      writeFileSync(file, peering(local, remote, way));
      await lab.host(local.name).must(['swanctl', '--load-all', '--file', '/etc/swanctl/peering.conf']);
    }
    for (const child of ['inner', 'inner6'])
      await lab.host(one).must(['swanctl', '--initiate', '--child', child, '--timeout', '20']);
  }

  const ping = (host: string, from: string, to: string) =>
    lab.host(host).must(['ping', '-c', '3', '-i', '0.2', '-W', '2', '-I', from, to]);

  it('boots each with a root, a /run, addresses and a charon of its own', async () => {
    const { stdout } = await lab.host('kernel1').exec(['sh', '-c', 'uname -r; ls /run/charon.vici']);
    expect(stdout).to.match(/^6\.\d+\.\d+\n\/run\/charon\.vici\n$/);
    expect((await run(['uname', '-r'])).stdout).to.not.equal(`${stdout.split('\n')[0]}\n`);
    await lab.host('kernel1').must(['touch', '/etc/mine', '/run/mine']);
    expect((await lab.host('kernel2').exec(['ls', '/etc/mine', '/run/mine'])).status).to.equal(2);
    expect(existsSync('/etc/mine')).to.equal(false);
    await lab.host('kernel1').must(['ping', '-c', '1', '-W', '2', '192.0.2.112']);
    await lab.host('kernel1').must(['ping', '-c', '1', '-W', '2', '2001:db8::10']);
    expect(lab.process('kernel2', 'charon').isRunning()).to.equal(true);
    expect(readFileSync(lab.host('kernel2').logFile('charon'), 'utf8')).to.contain('loaded plugins');
  });

  it('two of them speak native ESP, IPv4 and IPv6 inside, with ESN', async () => {
    await peer('kernel1', 'kernel2', 'native');
    const file = join(options.folder ?? '', 'native.pcap');
    const capture = await startCapture(lab.host('outside'), undefined, file);
    await ping('kernel1', '10.1.11.1', '10.1.12.1');
    await ping('kernel1', '2001:db8:1:11::1', '2001:db8:1:12::1');
    expect((await capture.stop()).droppedByKernel).to.equal(0);
    // Two witnesses again, and the kernel's own word.
    expect((await must(['tcpdump', '-nr', file, 'esp'])).match(/ESP\(spi=/g)).to.have.length(12);
    const { esp, other } = countClasses(readPcap(file), classifyOutside);
    expect([esp, other]).to.deep.equal([12, undefined]);
    const states = await lab.host('kernel2').must(['ip', '-s', 'xfrm', 'state']);
    expect(states.match(/flag af-unspec esn|flag esn/g)).to.have.length(4);
    expect(states.match(/\b3\(packets\)/g)).to.have.length(4);
    expect(states).to.not.match(/replay [1-9]|failed [1-9]/);
  });

  it('one of them speaks ESP in UDP with a client that does ESP in user space', async () => {
    await peer('kernel1', 'client1', 'udp');
    await ping('client1', '10.1.1.1', '10.1.11.1');
    await ping('kernel1', '2001:db8:1:11::1', '2001:db8:1:1::1');
    const sas = await lab.host('client1').must(['swanctl', '--list-sas']);
    expect(sas.match(/INSTALLED, TUNNEL-in-UDP/g)).to.have.length(2);
  });

  it('one that is killed is gone like a host without power; the other goes on', async () => {
    const kernel = lab.process('kernel2', 'kernel');
    await kernel.kill('SIGKILL');
    expect(lab.process('kernel2', 'charon').isRunning()).to.equal(false);
    expect(await lab.host('kernel2').exec(['true']).catch(String)).to.contain('the guest ended');
    await lab.host('kernel1').must(['true']);
  });

  it('down after a crash of the program ends their kernels, helpers included', async () => {
    const { pid } = lab.process('kernel1', 'kernel');
    // All that is left of a killed kernel whose helpers live on.
    process.kill(pid, 'SIGKILL');
    await lab.release();
    await Lab.downAny(options);
    const { stdout } = await run(['ps', '-eo', 'pgid,stat,comm']);
    const left = stdout.split('\n').filter((line) => new RegExp(`^ *${pid} +[^Z]`).test(line));
    expect(left).to.deep.equal([]);
    expect(await run(['ip', 'netns', 'list']).then((said) => said.stdout)).to.not.contain('dvipakern');
  });
});
