import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dvipaCommand } from '../../../src/lab/program.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import type { LabProcess } from '../../../src/lab/host.ts';
import { packageVersion } from '../../../src/observe/version.ts';
import type { Cluster } from './cluster.ts';
import { bringCertificate, issueCertificateOf, type Oddity } from './odd-certificates.ts';

export type HostName = 'router1' | 'target1' | 'target2';

/** One failure of docs/operations.md, caused for real, and undone as the page says. */
export interface Failure {
  readonly failure: string;
  readonly on: HostName;
  readonly cause: () => Promise<unknown>;
  readonly undo: () => Promise<unknown>;
}

/** Causes failures in a cluster of the lab. */
export class Failures {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  all(): Failure[] {
    return [
      this.#shell(
        'cluster-mtu-too-large',
        'router1',
        'ip link set cluster0 mtu 1400',
        'ip link set cluster0 mtu 1500',
      ),
      this.#firewall('firewall-drops-esp', 'router1', 'udp dport { 500, 4500 }'),
      this.#firewall('firewall-drops-link', 'target2', 'udp dport 4754'),
      this.#edited(
        'plugin-without-an-address',
        'router1',
        this.#conf,
        [/dvipas = .*/, 'dvipas = 203.0.113.99'],
        () => this.#run('router1', 'swanctl --reload-settings'),
      ),
      this.#shell('rp-filter-strict', 'target1', `${RP_FILTER}=1`, `${RP_FILTER}=2`),
      this.#shell(
        'dvipa-elsewhere',
        'target1',
        'ip address add 203.0.113.10/32 dev outside0',
        'ip address delete 203.0.113.10/32 dev outside0',
      ),
      this.#commands('drain-forgotten', 'router1', ['drain', 'target1'], ['undrain', 'target1']),
      this.#wire(
        'switch-mtu-too-small',
        'router1',
        'ip link set target1 mtu 1400',
        'ip link set target1 mtu 1500',
      ),
      this.#shell(
        'endpoint-missing',
        'router1',
        'ip address delete 192.0.2.10/32 dev outside0',
        'ip address add 192.0.2.10/32 dev outside0',
      ),
      {
        failure: 'duplicate-address',
        on: 'router1',
        cause: () => this.#run('outside', 'ip address add 203.0.113.10/32 dev br0'),
        undo: () => this.#run('outside', 'ip address delete 203.0.113.10/32 dev br0'),
      },
      this.#commands('maintenance-forgotten', 'target2', ['maintenance', 'on'], ['maintenance', 'off']),
      this.#certificate('certificate-expired', 'target1', 'expired'),
      this.#certificate('certificate-of-another-host', 'target2', 'other-host'),
      this.#certificate('certificate-of-another-ca', 'router1', 'other-ca'),
      this.#shell('key-readable', 'target1', `chmod o+r ${this.#key}`, `chmod o= ${this.#key}`),
      this.#shell(
        'cluster-interface-down',
        'target1',
        'ip link set cluster0 down',
        'ip link set cluster0 up',
      ),
      this.#shell(
        'outside-interface-down',
        'router1',
        'ip link set outside0 down',
        'ip link set outside0 up',
      ),
      this.#edited('configuration-wrong', 'target2', this.#cluster.configFile('target2'), [
        /^role: target$/m,
        'role: goal',
      ]),
      this.#shell(
        'target-host-dead',
        'target2',
        'ip link set cluster0 down; ip link set outside0 down',
        'ip link set cluster0 up; ip link set outside0 up',
      ),
      this.#guardFlushed(),
      this.#wire('cluster-network-cut', 'target1', 'ip link set target1 down', 'ip link set target1 up'),
      this.#agentDead('target-agent-dead', 'target1'),
      this.#commands('no-target-left', 'router1', ['drain', 'target2'], ['undrain', 'target2']),
      this.#agentDead('guard-flushed-unattended', 'target1', 'nft flush ruleset'),
      this.#portTaken('link-port-taken', 'target2', `require('dgram').createSocket('udp4').bind(4754)`),
      this.#portTaken(
        'coupling-port-taken',
        'router1',
        `require('net').createServer().listen(4754, '0.0.0.0')`,
      ),
      this.#agentDead('routing-agent-dead', 'router1'),
      {
        failure: 'tun-deleted',
        on: 'target1',
        cause: () => this.#run('target1', 'ip link delete dvipa0'),
        undo: () => this.#startAgent('target1'),
      },
      {
        failure: 'charon-down',
        on: 'router1',
        cause: () => this.#charon.kill('SIGKILL'),
        undo: () => this.#cluster.lab.startCharon('router1'),
      },
      this.#edited('charon-without-plugin', 'router1', this.#conf, [/kernel-dvipa!/, ''], () =>
        this.#restartCharon(),
      ),
      this.#otherPlugin('plugin-of-another-version', () => packageVersion()),
      this.#otherPlugin('plugin-for-another-strongswan', () => this.#strongswan()),
      this.#withoutDvipa(),
    ];
  }

  get #charon(): LabProcess {
    return this.#cluster.lab.process('router1', 'charon');
  }

  get #conf(): string {
    return this.#cluster.file('hosts/router1/strongswan.conf');
  }

  get #key(): string {
    return this.#cluster.file('hosts/target1/dvipa/target1.key');
  }

  #run(host: string, command: string): Promise<string> {
    return this.#cluster.lab.host(host).must(['sh', '-c', command]);
  }

  #dvipa(host: HostName, ...args: string[]): Promise<string> {
    return this.#cluster.lab.host(host).must(dvipaCommand(...args));
  }

  async #startAgent(host: HostName): Promise<void> {
    this.#cluster.lab.startAgent(host);
  }

  async #restartCharon(): Promise<void> {
    await this.#charon.stop();
    // One that does not start is a failure of the table.
    await this.#cluster.lab.startCharon('router1').catch(() => {});
  }

  async #strongswan(): Promise<string> {
    const version = /U(\d+\.\d+\.\d+)/.exec(
      await this.#run('router1', 'swanctl --version 2>&1 || true'),
    )?.[1];
    return (
      version ??
      (await this.#run('router1', "dpkg-query -W -f '${Version}' libstrongswan")).split('-')[0] ??
      ''
    );
  }

  #shell(failure: string, on: HostName, cause: string, undo: string): Failure {
    return { failure, on, cause: () => this.#run(on, cause), undo: () => this.#run(on, undo) };
  }

  /** At the switch of the cluster network; the host's port has the host's name. */
  #wire(failure: string, on: HostName, cause: string, undo: string): Failure {
    return { failure, on, cause: () => this.#run('cluster', cause), undo: () => this.#run('cluster', undo) };
  }

  #commands(failure: string, on: HostName, cause: readonly string[], undo: readonly string[]): Failure {
    return { failure, on, cause: () => this.#dvipa(on, ...cause), undo: () => this.#dvipa(on, ...undo) };
  }

  #firewall(failure: string, on: HostName, what: string): Failure {
    const rule = `nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; }; add rule inet fw in ${what} drop'`;
    return this.#shell(failure, on, rule, 'nft delete table inet fw');
  }

  /** A file is another one for a time; `tell` says so to whoever has read it. */
  #edited(
    failure: string,
    on: HostName,
    file: string,
    [find, replace]: readonly [RegExp, string],
    tell: () => Promise<unknown> = async () => {},
  ): Failure {
    let was = '';
    const cause = () => {
      was = readFileSync(file, 'utf8');
      if (!find.test(was)) throw new Error(`${file} has no ${find}`);
      writeFileSync(file, was.replace(find, replace));
      return tell();
    };
    const undo = () => {
      writeFileSync(file, was);
      return tell();
    };
    return { failure, on, cause, undo };
  }

  #certificate(failure: string, on: HostName, oddity: Oddity): Failure {
    const bring = async (which: Oddity) =>
      bringCertificate(this.#cluster, on, await issueCertificateOf(this.#cluster, on, which));
    const undo = async () => {
      await bring('none');
      await this.#dvipa(on, 'reload');
    };
    return { failure, on, cause: () => bring(oddity), undo };
  }

  /** Right after the agent has looked, so that it does not look again for some seconds. */
  #guardFlushed(): Failure {
    const cause = async () => {
      await this.#run('router1', 'nft flush ruleset');
      await waitFor(
        'the guard is repaired',
        async () => (await this.#run('router1', 'nft list tables')) !== '',
      );
      await this.#run('router1', 'nft flush ruleset');
    };
    return { failure: 'guard-flushed', on: 'router1', cause, undo: async () => {} };
  }

  #agentDead(failure: string, on: HostName, then = 'true'): Failure {
    const cause = async () => {
      await this.#cluster.lab.process(on, 'agent').kill('SIGKILL');
      await this.#run(on, then);
    };
    return { failure, on, cause, undo: () => this.#startAgent(on) };
  }

  #portTaken(failure: string, on: HostName, take: string): Failure {
    let holder: LabProcess;
    const cause = async () => {
      await this.#cluster.lab.process(on, 'agent').stop();
      holder = this.#cluster.lab.host(on).spawn('holder', [process.execPath, '-e', take]);
      await waitFor('the port is taken', async () => (await this.#run(on, 'ss -Hlnut sport = 4754')) !== '');
    };
    const undo = async () => {
      await holder.kill('SIGKILL');
      await this.#startAgent(on);
    };
    return { failure, on, cause, undo };
  }

  /** A plugin with another version in it than this one. */
  #otherPlugin(failure: string, versionOf: () => string | Promise<string>): Failure {
    const plugin = this.#cluster.file('hosts/router1/plugins/libstrongswan-kernel-dvipa.so');
    const cause = async () => {
      const version = await versionOf();
      copyFileSync(plugin, `${plugin}.was`);
      const bytes = readFileSync(plugin, 'latin1');
      const other = bytes.replaceAll(`\0${version}\0`, `\0${version.slice(0, -1)}7\0`);
      if (other === bytes) throw new Error(`the plugin has no '${version}' in it`);
      writeFileSync(plugin, other, 'latin1');
      await this.#restartCharon();
    };
    const undo = () => {
      copyFileSync(`${plugin}.was`, plugin);
      return this.#restartCharon();
    };
    return { failure, on: 'router1', cause, undo };
  }

  /** Of all targets, so that there is a tunnel that nobody serves. */
  #withoutDvipa(): Failure {
    const edits = (['target1', 'target2'] as const).map((target) => {
      const file = this.#cluster.configFile(target);
      return { target, ...this.#edited('', target, file, [/dvipas: \[.*\]/, 'dvipas: [203.0.113.99]']) };
    });
    const cause = async () => {
      for (const { target, cause: edit } of edits) {
        await edit();
        await this.#cluster.lab.process(target, 'agent').stop();
        await this.#startAgent(target);
      }
      await this.#cluster.serving();
      await this.#cluster.initiateAll();
    };
    const undo = async () => {
      for (const { target, undo: back } of edits) {
        await back();
        await this.#dvipa(target, 'reload');
      }
    };
    return { failure: 'target-without-a-dvipa', on: 'router1', cause, undo };
  }
}

const RP_FILTER = 'sysctl -qw net/ipv4/conf/dvipa0/rp_filter';
