import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '../../../src/lab/run.ts';
import type { GuestOptions } from './systemd-guest.ts';

const LINKS = ['outside', 'cluster'] as const;
export type LinkName = (typeof LINKS)[number];

/** An interface on one of the links. */
export interface HostInterface {
  readonly link: LinkName;
  /** A letter or more and a number, such as `eth0`. */
  readonly name: string;
  /** With prefix length. */
  readonly address: string;
}

/**
 * The two networks of a cluster, for clean hosts and guests: bridges in a namespace of their own. $DVIPA_NETNS_PREFIX goes before the
 * names of namespaces, so that a test may run beside itself.
 */
export class HostNetwork {
  readonly #namespaces: string[] = [];
  readonly #name: string;

  private constructor(name: string) {
    this.#name = `${process.env['DVIPA_NETNS_PREFIX'] ?? ''}${name}`;
  }

  static async make(name: string): Promise<HostNetwork> {
    const network = new HostNetwork(name);
    await network.#addNamespace(network.#name);
    for (const link of LINKS) {
      await network.#ip(`link add ${link} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`);
      await network.#ip(`link set ${link} up`);
    }
    return network;
  }

  /** A namespace with these interfaces, for a `CleanHost`; returns its name. */
  async namespaceOf(host: string, interfaces: readonly HostInterface[]): Promise<string> {
    const netns = `${this.#name}-${host}`;
    await this.#addNamespace(netns);
    await this.#ip('link set lo up', netns);
    for (const { link, name, address } of interfaces) {
      const port = `${host}-${link}`.slice(0, 15);
      await this.#ip(`link add ${port} type veth peer name ${name} netns ${netns}`);
      await this.#ip(`link set ${port} master ${link} up`);
      await this.#ip(`address add ${address} dev ${name}`, netns);
      await this.#ip(`link set ${name} up`, netns);
    }
    return netns;
  }

  /** The same for a `SystemdGuest`: what to boot it with. */
  async guestOptions(host: string, interfaces: readonly HostInterface[]): Promise<GuestOptions> {
    const taps = interfaces.map(({ link, ...place }) => ({
      link,
      ...place,
      tap: `${host}-${link}`.slice(0, 15),
    }));
    for (const { tap, link } of taps) {
      await this.#ip(`tuntap add dev ${tap} mode tap`);
      await this.#ip(`link set ${tap} master ${link} up`);
    }
    return { name: host, netns: this.#name, interfaces: taps };
  }

  /** Writes everything that crosses a link from now on into a file of this folder. */
  async capture(link: LinkName, folder: string): Promise<LinkCapture> {
    const capture = new LinkCapture(this.#name, link, join(folder, `${link}.pcap`));
    await capture.started;
    return capture;
  }

  /** For when its hosts are gone. */
  async remove(): Promise<void> {
    for (const netns of this.#namespaces) await run(['ip', 'netns', 'del', netns]);
  }

  async #addNamespace(netns: string): Promise<void> {
    await run(['ip', 'netns', 'del', netns]);
    await must(['ip', 'netns', 'add', netns]);
    this.#namespaces.push(netns);
  }

  #ip(words: string, netns = this.#name): Promise<string> {
    return must(['ip', '-n', netns, ...words.split(' ')]);
  }
}

/** A running tcpdump, and after `stop` what it has seen. */
export class LinkCapture {
  readonly file: string;
  readonly started: Promise<unknown>;
  readonly #tcpdump;
  readonly #ended: Promise<unknown>;

  constructor(netns: string, link: LinkName, file: string) {
    this.file = file;
    const tcpdump = ['tcpdump', '-i', link, '-s', '0', '-U', '--immediate-mode', '-Z', 'root', '-w', file];
    this.#tcpdump = spawn('ip', ['netns', 'exec', netns, ...tcpdump], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // It says where it listens once it does.
    this.started = once(this.#tcpdump.stderr, 'data');
    this.#ended = once(this.#tcpdump, 'exit');
  }

  async stop(): Promise<void> {
    this.#tcpdump.kill('SIGINT');
    await this.#ended;
  }

  /** Whether these bytes are in some packet as they are. */
  hasText(text: string): boolean {
    return readFileSync(this.file).includes(text);
  }

  /** How many packets fit a filter of tcpdump. */
  async count(filter: string): Promise<number> {
    const said = await must(['tcpdump', '-r', this.file, '-nn', '-t', filter]);
    return said.split('\n').filter((line) => line !== '').length;
  }
}
