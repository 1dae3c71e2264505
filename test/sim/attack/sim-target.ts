import { pathFitOf } from '../../../src/agents/sa-settings.ts';
import { DropCounters, KEEP, verdictOf } from '../../../src/base/verdict.ts';
import type { ConnectionKey } from '../../../src/connections/connection-key.ts';
import { FlowTracker } from '../../../src/connections/flow-tracker.ts';
import { DispatchFloor } from '../../../src/dataplane/dispatch-floor.ts';
import { FragmentMemory } from '../../../src/dataplane/fragment-memory.ts';
import { InboundFilter } from '../../../src/dataplane/inbound-filter.ts';
import { InboundSad } from '../../../src/dataplane/inbound-sad.ts';
import { InnerDelivery } from '../../../src/dataplane/inner-delivery.ts';
import { LINK_PROTOCOL } from '../../../src/dataplane/ports.ts';
import { CommittedNumbers } from '../../../src/dataplane/replay-reports.ts';
import { SealedInbound } from '../../../src/dataplane/sealed-inbound.ts';
import {
  type ServedDvipa,
  type ShadowInboundSa,
  TargetInbound,
} from '../../../src/dataplane/target-inbound.ts';
import { PacketVector } from '../../../src/dataplane/vector.ts';
import { LifesizeMeter } from '../../../src/ipsec/lifesize-meter.ts';
import { LinkOpener } from '../../../src/ipsec/link-seal.ts';
import { PathMtus } from '../../../src/ipsec/path-mtus.ts';
import { mergeSnapshots, type ReplaySnapshot } from '../../../src/ipsec/replay-snapshot.ts';
import { ReplayWindow } from '../../../src/ipsec/replay-window.ts';
import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import { TunnelCheck } from '../../../src/ipsec/tunnel-check.ts';
import { ADDRESS_WORDS, copyAddress, formatAddress } from '../../../src/packet/address.ts';
import { AddressMap, AddressSet } from '../../../src/packet/address-map.ts';
import { ACK, addr, DVIPA, ENDPOINT, RST, SYN } from '../../support/inner-packets.ts';
import { SimCrypto } from './sim-esp.ts';
import type { OnLink } from './sim-link.ts';

const UNLIMITED = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };
const ADDRESSES = {
  endpoints: new AddressSet([addr(ENDPOINT)]),
  dvipas: new AddressSet([addr(DVIPA)]),
};
const TCP_HEADER_BYTES = 20;
const IPV4_HEADER_BYTES = 20;

export interface SimTargetOptions {
  readonly index: number;
  readonly hasEsn: boolean;
  readonly now: () => number;
  readonly toApplication: (inner: Buffer, id: number) => void;
  readonly onMoved: (entry: ShadowInboundSa, place: string, high: number, low: number) => void;
  readonly onReportDue: (entry: ShadowInboundSa) => void;
}

/** One life of a target: its way in as it is, with a kernel that knows its sockets. */
export class SimTarget {
  readonly index: number;
  readonly bornAt: number;
  readonly sad = new InboundSad<ShadowInboundSa>();
  readonly flows = new FlowTracker({ seed: Buffer.alloc(8, 3), maxFlows: 256 });
  readonly drops = new DropCounters();
  readonly opener = new LinkOpener();
  readonly unsettled = new Set<ShadowInboundSa>();
  epoch = 0;
  floor = new DispatchFloor();
  readonly #sockets = new Set<string>();
  readonly #inbound: TargetInbound;
  readonly #sealed: SealedInbound;
  readonly #dvipa: ServedDvipa = {
    address: addr(DVIPA),
    filterMode: 'bypass',
    filter: new InboundFilter([]),
    distributesClear: false,
    returnVia: 'direct' as const,
  };
  readonly #paths = new PathMtus({ outside: 1500, cluster: 1500 });
  readonly #vector = new PacketVector(1);
  readonly #options: SimTargetOptions;

  constructor(options: SimTargetOptions) {
    this.#options = options;
    this.index = options.index;
    this.bornAt = options.now();
    const { now } = options;
    const fragments = new FragmentMemory({ seed: Buffer.alloc(8, 3), now });
    const delivery = new InnerDelivery({
      tun: { send: (vector) => this.#toTun(vector) },
      admits: () => true,
      onAuthenticated: (vector, i, group) => this.#observe(vector, i, group),
    });
    const dvipas = new AddressMap([[addr(DVIPA), this.#dvipa]]);
    const { sad, drops, opener } = this;
    const clear = { inbound: () => verdictOf('clear') };
    this.#sealed = new SealedInbound({ sad, opener, dvipas, fragments, delivery, clear, drops });
    this.#inbound = new TargetInbound({
      sad,
      crypto: new SimCrypto(options.hasEsn),
      drops,
      fragments,
      delivery,
      onMoved: (entry, vector, i) => {
        const place = `${formatAddress(vector.outerSource, i * ADDRESS_WORDS)}:${vector.outerSourcePort[i]}`;
        options.onMoved(entry, place, vector.sequenceHigh[i] as number, vector.sequenceLow[i] as number);
      },
      onReportDue: (entry) => options.onReportDue(entry),
    });
  }

  /** A shadow SA, or what the routing host knows better of one. */
  install(sa: SecurityAssociation, snapshot: ReplaySnapshot, isWindowComplete: boolean): void {
    const known = this.sad.get(sa.id);
    if (known !== undefined) {
      known.isWindowComplete ||= isWindowComplete;
      known.window.restore(mergeSnapshots(known.window.snapshot(), snapshot));
      return;
    }
    const window = new ReplayWindow(sa.replayWindowPackets + 4096);
    window.restore(snapshot);
    this.sad.add(sa, (slot) => ({
      slot,
      sa,
      destination: addr(sa.outer.destination),
      window,
      isWindowComplete,
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: this.#dvipa,
      meter: new LifesizeMeter(UNLIMITED, { hardBytes: 0, hardPackets: 0 }),
      committed: new CommittedNumbers(sa.id),
      wrongIcvs: 0,
      fit: pathFitOf(sa, this.#paths),
      peerAddress: addr(sa.outer.source),
      peerPort: sa.outer.sourcePort,
    }));
  }

  receive({ protocol, epoch, dispatch, bytes }: OnLink): void {
    const vector = this.#vector;
    vector.reset();
    vector.push(bytes);
    vector.dispatch[0] = dispatch;
    if (protocol === LINK_PROTOCOL.SEALED) {
      this.#sealed.run(vector, epoch, this.epoch);
      return;
    }
    const isExtended = protocol === LINK_PROTOCOL.OUTER_EXTENDED;
    this.#inbound.run(vector, epoch, this.epoch, ADDRESSES, this.floor, isExtended);
    const { touched } = this.#inbound;
    for (let n = 0; n < touched.size; n++) this.unsettled.add(touched.at(n));
  }

  #toTun(vector: PacketVector): number {
    if (vector.verdict[0] !== KEEP) return 0;
    const inner = Buffer.from(vector.packet(0));
    const data = inner.toString('latin1', IPV4_HEADER_BYTES + TCP_HEADER_BYTES);
    this.#options.toApplication(inner, Number.parseInt(data, 16));
    return 1;
  }

  /** What the agent sees: the peer's segment, then its own kernel's answer. */
  #observe(vector: PacketVector, i: number, group: number): void {
    const words = i * ADDRESS_WORDS;
    const key: ConnectionKey = {
      dvipa: addr(DVIPA),
      group,
      protocol: vector.protocol[i] as number,
      source: new Uint32Array(ADDRESS_WORDS),
      sourcePort: vector.sourcePort[i] as number,
      destinationPort: vector.destinationPort[i] as number,
    };
    copyAddress(vector.innerSource, words, key.source, 0);
    const flags = vector.tcpFlags[i] as number;
    const now = this.#options.now();
    this.flows.observe(key, flags, true, now);
    const name = `${group} ${formatAddress(key.source)} ${key.sourcePort}`;
    if ((flags & SYN) !== 0) this.#sockets.add(name);
    const answer = (flags & SYN) !== 0 ? SYN | ACK : this.#sockets.has(name) ? ACK : RST;
    this.flows.observe(key, answer, false, now);
  }
}
