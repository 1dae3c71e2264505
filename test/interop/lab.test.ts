import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { labStatus, readLabHost } from '../../src/lab/attach.ts';
import { startCapture } from '../../src/lab/capture.ts';
import { Lab } from '../../src/lab/lab.ts';
import type { LabOptions } from '../../src/lab/options.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { must } from '../../src/lab/run.ts';
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
