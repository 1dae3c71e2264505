import type { Host } from '../../../src/lab/host.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { listPlugin, openSession, type PluginSa, wipePluginSa } from '../../../src/vici/index.ts';
import { buildTools, type Tools } from './tools.ts';

/** A port of the generator's own: charon has 4500. On the wire it is 4500 all the same. */
const OWN_PORT = 4501;
const SERVER_PORT = 80;
export const CLIENT_PORT = 40_000;
const ETHERNET_IP_UDP = 42;
const INNER_HEADERS = 40;
const SALT_BYTES = 4;
/** Packets that come one by one come in trains all the same where a wire is busy; it is less than any queue on the way. */
const TRAIN = 32;

/** ESP that arrives is dropped once it is counted: nobody here opens it. */
const RULES = `table ip bench {
  chain out {
    type filter hook output priority raw; udp sport ${OWN_PORT} udp sport set 4500
  }
  chain in {
    type filter hook prerouting priority raw; udp dport 4500 @th,64,32 != 0 drop
  }
}`;

export interface Flood {
  /** Of the inner packet. */
  readonly bytes: number;
  /** As many arrive as one; 1: each on its own. */
  readonly segments: number;
  readonly connections?: number;
  readonly window: number;
  readonly seconds: number;
  /** The interface behind the last step, as `countersOf` names it. */
  readonly counters: string;
}

export interface Flooded {
  readonly sent: number;
  readonly arrived: number;
  readonly lost: number;
  readonly seconds: number;
}

/** Where the counters of an interface are, for a process in another namespace. */
export const countersOf = (pid: number, name: string) => `/proc/${pid}/root/sys/class/net/${name}/statistics`;

/** Size of ESP with AES-GCM around an inner packet (RFC 4106). */
const espBytes = (inner: number) => 16 + Math.ceil((inner + 2) / 4) * 4 + 16;

/** The second client of scenario `bench`: IKE by charon, packets by the load generators, with the keys that charon agreed. */
export class BenchPeer {
  readonly #lab: Lab;
  readonly #host: Host;
  readonly #tools: Tools;
  readonly #sa: PluginSa;
  readonly #address: string;
  #next = 1;

  private constructor(lab: Lab, host: Host, tools: Tools, sa: PluginSa, address: string) {
    this.#lab = lab;
    this.#host = host;
    this.#tools = tools;
    this.#sa = sa;
    this.#address = address;
  }

  static async up(lab: Lab, name = 'client2'): Promise<BenchPeer> {
    const host = lab.host(name);
    await host.must(['nft', '-f', '-'], { input: RULES });
    await lab.initiate(name);
    const session = await openSession(`unix://${lab.options.folder}/hosts/${name}/run/charon.dvipa`);
    try {
      const { sas } = await listPlugin(session, () => {});
      const out = sas.filter(({ direction }) => direction === 'out');
      for (const sa of sas) if (sa !== out[0]) wipePluginSa(sa);
      if (out[0] === undefined) throw new Error(`${name}: charon has no SA`);
      const address = lab.plan.find((plan) => plan.name === name)?.innerAddress ?? '';
      return new BenchPeer(lab, host, await buildTools(), out[0], address);
    } finally {
      session.close();
    }
  }

  /** Sends to the DVIPA. */
  async flood({ bytes, segments, connections = 1, window, seconds, counters }: Flood): Promise<Flooded> {
    const { endpoint, dvipa } = this.#lab.scenario;
    // The generator hands over many as one in any case. Without the offload its kernel cuts that up where it enters the wire.
    await this.#host.must([
      'ethtool',
      '-K',
      'outside0',
      'tx-udp-segmentation',
      segments === 1 ? 'off' : 'on',
    ]);
    const argv = optionsOf({
      to: `${endpoint}:4500`,
      port: OWN_PORT,
      source: this.#address,
      destination: dvipa,
      'source-port': CLIENT_PORT,
      'destination-port': SERVER_PORT,
      payload: bytes - INNER_HEADERS,
      segments: segments === 1 ? TRAIN : segments,
      connections,
      window,
      seconds,
      sequence: this.#next,
      counters,
    });
    const said = await this.#host.must([this.#tools.flood, ...argv], {
      input: this.#keys(),
      timeoutMs: 60_000,
    });
    const { next, ...flooded } = JSON.parse(said) as Flooded & { next: number };
    this.#next = next;
    return flooded;
  }

  /** Has a host send to this peer what its kernel would hand to `device`, of the connection that `flood` opened first. */
  async receive(
    from: Host,
    device: string,
    flood: Omit<Flood, 'counters' | 'connections'>,
  ): Promise<Flooded> {
    const { bytes, segments, window, seconds } = flood;
    const argv = optionsOf({
      interface: device,
      source: this.#lab.scenario.dvipa,
      destination: this.#address,
      'source-port': SERVER_PORT,
      'destination-port': CLIENT_PORT,
      payload: bytes - INNER_HEADERS,
      segments,
      window,
      seconds,
      headers: ETHERNET_IP_UDP,
      size: espBytes(bytes),
      counters: countersOf(this.#lab.process(this.#host.name, 'charon').pid, 'outside0'),
    });
    return JSON.parse(await from.must([this.#tools.inject, ...argv], { timeoutMs: 60_000 })) as Flooded;
  }

  #keys(): string {
    const { encryptionKey, spi } = this.#sa;
    const key = Buffer.from(encryptionKey.reveal());
    const salt = key.subarray(key.length - SALT_BYTES);
    const lines = [key.subarray(0, -SALT_BYTES).toString('hex'), salt.toString('hex')];
    return `${lines.join('\n')}\n${spi.toString(16).padStart(8, '0')}\n`;
  }
}

function optionsOf(options: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}
