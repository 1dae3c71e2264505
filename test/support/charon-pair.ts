import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { must } from '../../src/lab/run.ts';

const CHARON = '/usr/sbin/charon-systemd';

/** What is missing to run a CharonPair here; empty: nothing. */
export function missingForCharonPair(): string[] {
  const missing = [CHARON, '/usr/sbin/swanctl', '/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so'];
  return [
    ...missing.filter((file) => !existsSync(file)),
    ...(existsSync('/dev/net/tun') ? [] : ['/dev/net/tun']),
    ...(process.getuid?.() === 0 ? [] : ['root']),
  ];
}

export interface CharonHost {
  readonly netns: string;
  readonly address: string;
  /** Inner address, on the host's loopback interface. */
  readonly inner: string;
  readonly folder: string;
  /** unix://... of its VICI socket. */
  readonly uri: string;
}

export interface CharonPairOptions {
  /** Plugins of strongSwan, loaded beside those that a tunnel needs. */
  readonly morePlugins?: string;
  /** Settings of plugins, as in strongswan.conf. */
  readonly pluginSettings?: string;
  /** Environment of the charons. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Two real charons in network namespaces of their own, joined by a veth pair, each with a private /run: `left`
 * (192.0.2.101, the client) and `right` (192.0.2.10). Connection `dvipa`, CHILD_SA `web`, pre-shared key, ESP by the
 * kernel-libipsec plugin, so nothing of the machine's own kernel is needed. `rekey_time = 0`.
 */
export class CharonPair {
  readonly left: CharonHost;
  readonly right: CharonHost;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'vci-'));
  readonly #children = new Map<string, ChildProcess>();
  readonly #options: CharonPairOptions;

  constructor(options: CharonPairOptions = {}) {
    this.#options = options;
    const host = (name: string, address: string, inner: string): CharonHost => {
      const folder = path.join(this.#folder, name);
      return {
        netns: `vci-${process.pid}-${name}`,
        address,
        inner,
        folder,
        uri: `unix://${folder}/run/charon.vici`,
      };
    };
    this.left = host('left', '192.0.2.101', '10.1.1.1');
    this.right = host('right', '192.0.2.10', '203.0.113.10');
  }

  async start(): Promise<void> {
    await this.#makeNetwork();
    for (const [host, peer] of [
      [this.left, this.right],
      [this.right, this.left],
    ] as const) {
      writeConfiguration(host, peer, this.#options);
      await this.startCharon(host);
    }
  }

  /** Starts the host's charon (again) and loads its configuration. */
  async startCharon(host: CharonHost): Promise<void> {
    const { netns, folder } = host;
    const script = `mount --make-rprivate / && mount --bind ${folder}/run /run && exec ${CHARON}`;
    const env = {
      ...process.env,
      ...this.#options.env,
      STRONGSWAN_CONF: `${folder}/strongswan.conf`,
      NOTIFY_SOCKET: '',
    };
    const argv = ['netns', 'exec', netns, 'unshare', '-m', 'sh', '-c', script];
    const child = spawn('ip', argv, { env, stdio: 'ignore' });
    this.#children.set(netns, child);
    await waitFor(() => existsSync(`${folder}/run/charon.vici`) || child.exitCode !== null);
    await must(this.swanctl(host, '--load-all', '--noprompt'), { env: { SWANCTL_DIR: folder } });
  }

  /** Ends the host's charon and waits until it has gone. */
  async stopCharon(host: CharonHost, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#children.get(host.netns);
    this.#children.delete(host.netns);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
    rmSync(`${host.folder}/run/charon.vici`, { force: true });
  }

  /** Ends and removes everything; harmless after half a start. */
  async stop(): Promise<void> {
    for (const host of [this.left, this.right]) {
      await this.stopCharon(host, 'SIGKILL');
      await must(['ip', 'netns', 'delete', host.netns]).catch(() => undefined);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A command line of swanctl for this host. */
  swanctl(host: CharonHost, ...args: string[]): string[] {
    return ['swanctl', ...args, '--uri', host.uri];
  }

  log(host: CharonHost): string {
    return readFileSync(`${host.folder}/charon.log`, 'utf8');
  }

  async #makeNetwork(): Promise<void> {
    const { left, right } = this;
    for (const { netns } of [left, right]) await must(['ip', 'netns', 'add', netns]);
    await must([
      'ip',
      '-n',
      left.netns,
      'link',
      'add',
      'outside0',
      'type',
      'veth',
      'peer',
      'outside0',
      'netns',
      right.netns,
    ]);
    for (const { netns, address, inner } of [left, right]) {
      await must(['ip', '-n', netns, 'address', 'add', `${address}/24`, 'dev', 'outside0']);
      await must(['ip', '-n', netns, 'address', 'add', `${inner}/32`, 'dev', 'lo']);
      for (const link of ['lo', 'outside0']) await must(['ip', '-n', netns, 'link', 'set', link, 'up']);
    }
  }
}

function writeConfiguration(host: CharonHost, peer: CharonHost, options: CharonPairOptions): void {
  const { morePlugins = '', pluginSettings = '' } = options;
  mkdirSync(`${host.folder}/run`, { recursive: true });
  const plugins =
    'random nonce aes sha1 sha2 hmac kdf pem openssl kernel-libipsec kernel-netlink socket-default vici';
  writeFileSync(
    `${host.folder}/strongswan.conf`,
    `charon {
  load = ${plugins} ${morePlugins}
  plugins {
    ${pluginSettings}
  }
  filelog {
    log {
      path = ${host.folder}/charon.log
      default = 1
      flush_line = yes
    }
  }
}
`,
  );
  writeFileSync(
    `${host.folder}/swanctl.conf`,
    `connections {
  dvipa {
    version = 2
    mobike = no
    rekey_time = 0
    local_addrs = ${host.address}
    remote_addrs = ${peer.address}
    local {
      auth = psk
      id = ${host.address}
    }
    remote {
      auth = psk
      id = ${peer.address}
    }
    children {
      web {
        local_ts = ${host.inner}/32
        remote_ts = ${peer.inner}/32
        rekey_time = 0
        esp_proposals = aes128gcm16
      }
    }
  }
}
secrets {
  ike-test {
    secret = "test only"
  }
}
`,
  );
}

async function waitFor(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('charon did not start in 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
