import { DropCounters, KEEP, SENT } from '../../../src/base/verdict.ts';
import { TargetHost, type TargetHostPorts } from '../../../src/agents/target/target-host.ts';
import { DispatchFloor } from '../../../src/dataplane/dispatch-floor.ts';
import type { PacketSink } from '../../../src/dataplane/ports.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import type { CryptoBatch, PacketCrypto } from '../../../src/ipsec/packet-crypto.ts';
import { addr, DVIPA, ENDPOINT } from '../../support/inner-packets.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { CRYPTOS } from '../../support/packet-cryptos.ts';
import { silent } from '../../support/cluster/router.ts';
import { policyFor } from '../../support/test-sas.ts';
import { ESP_OVERHEAD_BYTES, saNumber, saOf, Shuffle, writeDatagram, writeInner } from './pipeline-world.ts';
import type { WorldSize } from './routing-world.ts';

const EPOCH = 1;
const CREDIT = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };
const LEASED_NUMBERS = 2 ** 30;
const HOUR_MS = 3_600_000;
const endpoint = addr(ENDPOINT)[3] as number;
/** SPI, number, IV. */
const ESP_HEAD_BYTES = 16;

/** Takes off and puts on what ESP adds, and encrypts nothing. */
const nullCrypto: Pick<PacketCrypto, 'open' | 'seal'> = {
  open(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      batch.offset[i] = (batch.offset[i] as number) + ESP_HEAD_BYTES;
      batch.length[i] = (batch.length[i] as number) - ESP_OVERHEAD_BYTES;
      batch.nextHeader[i] = 4;
    }
  },
  seal(batch: CryptoBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      batch.offset[i] = (batch.offset[i] as number) - ESP_HEAD_BYTES;
      batch.length[i] = (batch.length[i] as number) + ESP_OVERHEAD_BYTES;
    }
  },
};

/** Takes every packet. */
class NullSink implements PacketSink {
  packets = 0;

  send(vector: PacketVector): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) if (vector.verdict[i] === KEEP) count++;
    this.packets += count;
    return count;
  }
}

/** A target with SAs and connections, without sockets and cryptography: its way in, or its way out. */
export class TargetWorld {
  readonly size: WorldSize;
  readonly drops = new DropCounters();
  readonly host: TargetHost;
  readonly #way: 'in' | 'out';
  readonly #tun = new NullSink();
  readonly #raw = new NullSink();
  readonly #floor = new DispatchFloor();
  readonly #sequence: Uint32Array;
  readonly #shuffle = new Shuffle();
  #dispatch = 0;
  #connection = 0;
  #left = 0;
  #expected = 0;

  constructor(size: WorldSize, way: 'in' | 'out') {
    this.size = size;
    this.#way = way;
    this.host = new TargetHost({
      clock: new ManualClock(),
      log: silent,
      drops: this.drops,
      dvipas: [DVIPA],
      link: { send: () => 0, setPeer: () => {}, onReceive: () => {}, close: async () => {} },
      tun: this.#tun,
      raw: this.#raw,
      limits: { outside: 1600, cluster: 1700 },
      cryptos: CRYPTOS,
      listening: {},
      cpuTimes: async () => ({ busy: 0, total: 1 }),
      onClearText: () => {},
      onSourcePorts: () => {},
      maintenanceMark: { isSet: () => false, set: () => {} },
      hashSeed: Buffer.from('0123456789abcdef', 'hex'),
    } as unknown as TargetHostPorts);
    const { cache } = this.host;
    Object.assign(cache.opening, { ...nullCrypto, install: () => {} });
    Object.assign(cache.sealing, { ...nullCrypto, install: () => {} });
    cache.setDvipa({
      address: DVIPA,
      endpoints: [ENDPOINT],
      filterMode: 'bypass',
      rules: [],
      clearText: 'reject',
      returnVia: 'direct',
      router: '198.51.100.1',
    });
    for (let n = 0; n < size.sas; n++) this.#add(n);
    this.#sequence = new Uint32Array(size.sas);
  }

  next(vector: PacketVector): void {
    const { sas, connections, run, innerBytes } = this.size;
    vector.reset();
    for (let i = 0; i < vector.capacity; i++) {
      if (this.#left === 0) {
        this.#connection = this.#shuffle.below(connections);
        this.#left = run;
      }
      this.#left--;
      const c = this.#connection;
      if (this.#way === 'in') {
        const sequence = (this.#sequence[saOf(c, sas)] as number) + 1;
        this.#sequence[saOf(c, sas)] = sequence;
        writeDatagram(vector, i, c, sas, sequence, endpoint, innerBytes);
        vector.dispatch[i] = ++this.#dispatch >>> 0;
      } else {
        writeInner(vector.slab, vector.offset[i] as number, c, sas, innerBytes, true);
        vector.length[i] = innerBytes;
      }
    }
    vector.count = vector.capacity;
    this.#expected += vector.count;
  }

  run(vector: PacketVector): void {
    const { host } = this;
    if (this.#way === 'out') host.outbound.run(vector, 1);
    else host.inbound.run(vector, EPOCH, EPOCH, host.cache.addresses, this.#floor);
  }

  settle(vector: PacketVector): void {
    const sink = this.#way === 'in' ? this.#tun : this.#raw;
    if (sink.packets !== this.#expected) {
      const verdicts = [...new Set(vector.verdict.subarray(0, vector.count))].filter((each) => each !== SENT);
      throw new Error(`${sink.packets} of ${this.#expected} packets went on; verdicts ${verdicts.join()}`);
    }
    const { touched } = this.host.inbound;
    if (this.#way === 'in') for (let n = 0; n < touched.size; n++) touched.at(n).committed.take();
    this.host.flows.take(1024);
  }

  #add(n: number): void {
    const { cache } = this.host;
    const sa = saNumber(n, this.#way);
    const refused = cache.install({ sa, credit: CREDIT, ...(this.#way === 'out' && { senderId: 1 }) }, EPOCH);
    if (refused !== undefined) throw new Error(refused);
    if (this.#way === 'in') return;
    cache.outbound.installPolicy(policyFor(sa, { spi: sa.spi }));
    const entry = cache.outbound.get(sa.id);
    if (entry === undefined) throw new Error('the SA is not there');
    entry.holder.take(1, 0);
    entry.holder.granted(1, 1n, LEASED_NUMBERS, HOUR_MS, 0);
    entry.holder.takeActions();
  }
}
