import { KeyMaterial } from '../../../src/base/key-material.ts';
import { AUTH_HMAC_SHA2_256_128, ENCR_AES_CBC, ENCR_AES_GCM_16 } from '../../../src/ipsec/algorithms.ts';
import type { SaId } from '../../../src/ipsec/sa.ts';
import type { PluginStatePort } from '../../../src/store/plugin-store.ts';
import type {
  PluginChange,
  PluginLimit,
  PluginPolicy,
  PluginSa,
  PluginSnapshot,
  Requester,
} from '../../../src/vici/index.ts';
import { ViciMessage } from '../../../src/vici/message.ts';
import type { Random } from '../../sim/event-queue.ts';
import { type EspSuite, testKeys } from '../esp-peer.ts';
import { DVIPA, ENDPOINT } from '../inner-packets.ts';
import type { ManualClock } from '../manual-clock.ts';

export interface SaPair {
  readonly client: number;
  readonly suite: EspSuite;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly idIn: string;
  readonly idOut: string;
  readonly madeAt: number;
  readonly bytes: PluginLimit;
}

const NO_LIMIT = { soft: 0, hard: 0 };

/**
 * charon with its plugin, as the routing agent sees both: SAs, policies, kept states, events, acknowledgements. It
 * outlives routing agents. `listener` gets the events while an agent is there.
 */
export class MemoryCharon {
  instance = '00c0ffee00c0ffee';
  readonly pairs: SaPair[] = [];
  readonly #policies = new Map<number, PluginPolicy>();
  readonly #saStates = new Map<string, Buffer>();
  readonly #dvipaStates = new Map<string, Buffer>();
  readonly acknowledged = new Set<string>();
  /** Policies that an SA was asked for, each time. */
  readonly acquires: string[] = [];
  /** Last totals pushed, by the plugin's SA id. */
  readonly counters = new Map<string, { bytes: number; packets: number }>();
  listener: ((change: PluginChange) => void) | undefined;
  storeFailure = 0;
  dvipaStoreFails = false;
  /** The store takes so long for an SA's state. */
  storeDelayMs = 0;
  /** Moves of peers that it was told, `address:port` each. */
  readonly mappings: string[] = [];
  /** False: it does not follow them. */
  follows = true;
  readonly suite: EspSuite;
  /** The inner address of a client. */
  readonly inner: (client: number) => string;
  readonly #clock: ManualClock;
  readonly #random: Random;
  #nextId = 1;

  constructor(clock: ManualClock, random: Random, suite: EspSuite, inner = innerOf) {
    this.inner = inner;
    this.#clock = clock;
    this.#random = random;
    this.suite = suite;
  }

  /** A new CHILD_SA of the client: both SAs, without policy. */
  addPair(client: number, bytes: PluginLimit = NO_LIMIT): SaPair {
    const [idIn, idOut] = [`${this.#nextId++}`, `${this.#nextId++}`];
    const spiIn = 0xc000_0000 + Number(idIn);
    const spiOut = 0xe000_0000 + Number(idOut);
    const pair = { client, suite: this.suite, spiIn, spiOut, idIn, idOut, madeAt: this.#clock.now(), bytes };
    this.pairs.push(pair);
    this.listener?.({ type: 'sa-add', sa: this.#sa(pair, 'in') });
    this.listener?.({ type: 'sa-add', sa: this.#sa(pair, 'out') });
    return pair;
  }

  /** The outbound switch. */
  usePair(pair: SaPair): void {
    const policy: PluginPolicy = {
      id: `p${pair.client}`,
      key: `out ${DVIPA}/32 === ${this.inner(pair.client)}/32 ${pair.client}`,
      direction: 'out',
      sourceSelector: selector(DVIPA),
      destinationSelector: selector(this.inner(pair.client)),
      source: ENDPOINT,
      destination: outerOf(pair.client),
      reqid: this.#reqidOf(pair.client),
      group: pair.client,
      priority: 371_327,
      spi: pair.spiOut,
    };
    this.#policies.set(pair.client, policy);
    this.listener?.({ type: 'policy-add', policy });
  }

  /** A policy without an SA, for everything between the DVIPA and the client. Its key. */
  addTrap(client: number): string {
    const key = `out ${DVIPA}/32 === ${this.inner(client)}/32 trap`;
    const policy: PluginPolicy = {
      id: `t${client}`,
      key,
      direction: 'out',
      sourceSelector: selector(DVIPA),
      destinationSelector: selector(this.inner(client)),
      source: ENDPOINT,
      destination: '0.0.0.0',
      reqid: 100 + client,
      group: 0,
      priority: 2_000_000,
      spi: undefined,
    };
    this.#policies.set(-client, policy);
    this.listener?.({ type: 'policy-add', policy });
    return key;
  }

  deletePair(pair: SaPair): void {
    this.pairs.splice(this.pairs.indexOf(pair), 1);
    this.listener?.({ type: 'sa-delete', id: pair.idIn, spi: pair.spiIn, direction: 'in' });
    this.listener?.({ type: 'sa-delete', id: pair.idOut, spi: pair.spiOut, direction: 'out' });
    this.#saStates.delete(pair.idIn);
    this.#saStates.delete(pair.idOut);
  }

  /** The peer moved behind its NAT: outer addresses of both SAs change. */
  move(pair: SaPair, address: string, port: number): void {
    const [into, out] = [this.#sa(pair, 'in'), this.#sa(pair, 'out')];
    this.listener?.({ type: 'sa-update', sa: { ...into, source: address, sourcePort: port } });
    this.listener?.({ type: 'sa-update', sa: { ...out, destination: address, destinationPort: port } });
  }

  removePolicy(client: number): void {
    const policy = this.#policies.get(client);
    this.#policies.delete(client);
    if (policy !== undefined) this.listener?.({ type: 'policy-delete', id: policy.id, key: policy.key });
  }

  /** charon ended and came back: another instance, empty tables. The agent, if there is one, must list anew. */
  restart(instance: string): void {
    this.instance = instance;
    this.pairs.length = 0;
    for (const table of [this.#policies, this.#saStates, this.#dvipaStates]) table.clear();
  }

  /** What the plugin's list command answers. */
  snapshot(): PluginSnapshot {
    return {
      instance: this.instance,
      sequence: 0,
      sas: this.pairs.flatMap((pair) => [this.#sa(pair, 'in'), this.#sa(pair, 'out')]),
      policies: [...this.#policies.values()],
      dvipas: [DVIPA],
      endpoints: [ENDPOINT],
      states: new Map(this.#dvipaStates),
    };
  }

  /** The store that the routing agent keeps its marks in. */
  get statePort(): PluginStatePort {
    return {
      list: async () => ({ sas: new Map(), dvipas: new Map(this.#dvipaStates) }),
      putSa: async (id: SaId, state) => {
        const [instance, number] = id.split(':') as [string, string];
        const isKnown = this.pairs.some(({ idIn, idOut }) => idIn === number || idOut === number);
        if (instance !== this.instance || !isKnown) throw new Error('no such SA');
        const { storeDelayMs } = this;
        if (storeDelayMs > 0) await new Promise<void>((done) => this.#clock.after(storeDelayMs, done));
        const fails = this.#random.chance(this.storeFailure);
        if (!fails || this.#random.chance(0.5)) this.#saStates.set(number, Buffer.from(state));
        if (fails) throw new Error('the store did not answer');
      },
      putDvipa: async (dvipa, state) => {
        if (this.dvipaStoreFails) throw new Error('the store did not answer');
        this.#dvipaStates.set(dvipa, Buffer.from(state));
      },
    };
  }

  /** The plugin's socket, for acknowledgements and counters. */
  get requester(): Requester {
    return {
      request: async (command, message) => {
        if (command === 'ack') this.acknowledged.add(message?.text('sa') ?? message?.text('policy') ?? '');
        if (command === 'acquire') this.acquires.push(message?.text('policy') ?? '');
        if (command === 'mapping') this.#mapping(message ?? ViciMessage.of({}));
        if (command === 'counters') this.#count(message ?? ViciMessage.of({}));
        return ViciMessage.of({ success: true });
      },
      requestStream: async () => ViciMessage.of({ success: true }),
    };
  }

  /** As charon's `update_sa_job`, of both SAs, a moment later. */
  #mapping(message: ViciMessage): void {
    const [sa, address = '', port] = ['sa', 'address', 'port'].map((key) => message.text(key));
    this.mappings.push(`${address}:${port}`);
    const pair = this.pairs.find(({ idIn }) => idIn === sa);
    if (pair !== undefined && this.follows)
      this.#clock.after(1, () => this.move(pair, address, Number(port)));
  }

  #count(message: ViciMessage): void {
    for (const [id, section] of message.section('sas')?.sections() ?? []) {
      this.counters.set(id, {
        bytes: Number(section.text('bytes')),
        packets: Number(section.text('packets')),
      });
    }
  }

  /** As `alloc_reqid`: equal selectors, equal number. */
  #reqidOf(client: number): number {
    for (let n = 1; n < client; n++) if (this.inner(n) === this.inner(client)) return n;
    return client;
  }

  #sa(pair: SaPair, direction: 'in' | 'out'): PluginSa {
    const isIn = direction === 'in';
    const { client, suite } = pair;
    const { encryption, integrity } = testKeys(suite, isIn ? pair.spiIn : pair.spiOut);
    const [peer, ours] = [outerOf(client), ENDPOINT];
    const [peerSelectors, ourSelectors] = [[selector(this.inner(client))], [selector(DVIPA)]];
    return {
      id: isIn ? pair.idIn : pair.idOut,
      spi: isIn ? pair.spiIn : pair.spiOut,
      direction,
      source: isIn ? peer : ours,
      destination: isIn ? ours : peer,
      sourcePort: 4500,
      destinationPort: 4500,
      reqid: this.#reqidOf(client),
      group: client,
      mode: 'tunnel',
      hasUdpEncapsulation: true,
      hasEsn: false,
      replayWindowPackets: 64,
      isInitiator: false,
      isUpdate: isIn,
      copyDf: true,
      copyEcn: true,
      copyDscp: 'out',
      tfcBytes: 0,
      encryptionTransform: integrity === undefined ? ENCR_AES_GCM_16 : ENCR_AES_CBC,
      integrityTransform: integrity === undefined ? 0 : AUTH_HMAC_SHA2_256_128,
      encryptionKey: KeyMaterial.copyOf(encryption),
      integrityKey: integrity && KeyMaterial.copyOf(integrity),
      sourceSelectors: isIn ? peerSelectors : ourSelectors,
      destinationSelectors: isIn ? ourSelectors : peerSelectors,
      seconds: NO_LIMIT,
      bytes: pair.bytes,
      packets: NO_LIMIT,
      ageMs: this.#clock.now() - pair.madeAt,
      dvipa: DVIPA,
      state: this.#saStates.get(isIn ? pair.idIn : pair.idOut),
    };
  }
}

/** Of clients beyond the first hundred, others: a bench has thousands. */
export const innerOf = (client: number) =>
  client <= 100 ? `10.1.${client}.1` : `10.${2 + (client >>> 8)}.${client & 255}.1`;
export const outerOf = (client: number) =>
  client <= 100 ? `192.0.2.${100 + client}` : `198.18.${client >>> 8}.${client & 255}`;

function selector(address: string) {
  return { family: 4, from: address, to: address, protocol: 0, fromPort: 0, toPort: 65_535 } as const;
}
