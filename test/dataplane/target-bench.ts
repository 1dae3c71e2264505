import { randomBytes } from 'node:crypto';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DropCounters, verdictOf } from '../../src/base/verdict.ts';
import { putCommitted } from '../../src/dataplane/committed-packet.ts';
import { putHighHalf } from '../../src/dataplane/extended-dispatch.ts';
import { FragmentMemory } from '../../src/dataplane/fragment-memory.ts';
import { pathFitOf } from '../../src/agents/sa-settings.ts';
import { DispatchFloor } from '../../src/dataplane/dispatch-floor.ts';
import { type FilterMode, type FilterRule, InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { InnerDelivery } from '../../src/dataplane/inner-delivery.ts';
import { InboundSad } from '../../src/dataplane/inbound-sad.ts';
import { CommittedNumbers } from '../../src/dataplane/replay-reports.ts';
import { SealedInbound } from '../../src/dataplane/sealed-inbound.ts';
import { type ServedDvipa, type ShadowInboundSa, TargetInbound } from '../../src/dataplane/target-inbound.ts';
import type { PacketVector } from '../../src/dataplane/vector.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { type LifesizeCredit, LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';
import { LinkNodeCipher } from '../../src/ipsec/link-node-cipher.ts';
import { LINK_KIND, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { PathMtus } from '../../src/ipsec/path-mtus.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { TunnelCheck } from '../../src/ipsec/tunnel-check.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { RecordingSink, vectorOf } from '../support/dataplane-parts.ts';
import { addr, DVIPA, DVIPA6, ENDPOINT, ENDPOINT6 } from '../support/inner-packets.ts';
import { AddressMap, AddressSet } from '../../src/packet/address-map.ts';
import { LinkHeader, sealOne } from '../support/link-seal.ts';

export interface ShadowOptions {
  readonly filterMode?: FilterMode;
  readonly rules?: readonly FilterRule[];
  readonly credit?: LifesizeCredit;
}

const UNLIMITED = { bytes: Number.MAX_SAFE_INTEGER, packets: Number.MAX_SAFE_INTEGER };

export interface CommittedOptions {
  readonly flags?: number;
  readonly group?: number;
  readonly kind?: number;
  readonly epoch?: number;
}

/** A target's way in, with a TUN that keeps what it gets. */
export class TargetBench {
  readonly drops = new DropCounters();
  readonly tun = new RecordingSink();
  readonly sad = new InboundSad<ShadowInboundSa>();
  readonly crypto = new EspNodeCrypto({ randomBytes });
  addresses = {
    endpoints: new AddressSet([ENDPOINT, ENDPOINT6].map(addr)),
    dvipas: new AddressSet([DVIPA, DVIPA6].map(addr)),
  };
  /** So large that nothing is clamped, unless a test says so. */
  limits = { outside: 3904, cluster: 9000 };
  floor = new DispatchFloor();
  epoch = 3;
  /** What was told of authenticated packets: destination port each. */
  readonly authenticated: number[] = [];
  onAuthenticated = (vector: PacketVector, i: number, _group: number): void => {
    this.authenticated.push(vector.destinationPort[i] as number);
  };
  readonly reports: Uint8Array[] = [];
  /** Packets from elsewhere that were the newest: outer source and number each. */
  readonly moved: string[] = [];
  #dispatch = 0;
  admits: (vector: PacketVector, i: number, group: number) => boolean = () => true;
  readonly fragments = new FragmentMemory({ seed: Buffer.alloc(8, 5), now: () => 1000 });
  readonly delivery = new InnerDelivery({
    tun: this.tun,
    admits: (vector, i, group) => this.admits(vector, i, group),
    onAuthenticated: (vector, i, group) => this.onAuthenticated(vector, i, group),
  });
  /** The DVIPAs that it serves, for packets that name no SA. */
  readonly served = new AddressMap<ServedDvipa>();
  readonly #linkKey = { keyId: 9, key: KeyMaterial.copyOf(Buffer.alloc(32, 9)) };
  readonly routerSealer = new LinkSealer(new LinkNodeCipher(this.#linkKey));
  readonly opener = new LinkOpener();
  readonly sealedInbound = new SealedInbound({
    sad: this.sad,
    opener: this.opener,
    dvipas: this.served,
    fragments: this.fragments,
    delivery: this.delivery,
    clear: { inbound: () => verdictOf('clear') },
    drops: this.drops,
  });
  readonly inbound = new TargetInbound({
    sad: this.sad,
    crypto: this.crypto,
    drops: this.drops,
    fragments: this.fragments,
    delivery: this.delivery,
    onMoved: (_entry, vector, i) =>
      this.moved.push(
        `${formatAddress(vector.outerSource, 4 * i)}:${vector.outerSourcePort[i]} ${vector.sequenceLow[i]}`,
      ),
    onReportDue: (entry) => this.reports.push(entry.committed.take()),
  });

  constructor() {
    this.opener.install(new LinkNodeCipher(this.#linkKey));
  }

  /** One sealed packet of the routing host; `number` of the SA `spi`. */
  runCommitted(inner: Uint8Array, spi: number, number: number, link: CommittedOptions = {}) {
    const { flags = 0, group = 1, kind = LINK_KIND.COMMITTED, epoch = this.epoch } = link;
    const vector = vectorOf(inner);
    vector.spi[0] = spi;
    vector.sequenceHigh[0] = 0;
    vector.sequenceLow[0] = number;
    putCommitted(vector, 0);
    sealOne(this.routerSealer, vector, 0, Object.assign(new LinkHeader(), { kind, flags, group }), epoch);
    return this.runSealed(Buffer.from(vector.packet(0)), epoch);
  }

  runSealed(bytes: Uint8Array, epoch = this.epoch): Buffer {
    this.sealedInbound.run(vectorOf(bytes), epoch, this.epoch);
    return Buffer.from(bytes);
  }

  install(sa: SecurityAssociation, options: ShadowOptions = {}): ShadowInboundSa {
    const { filterMode = 'bypass', rules = [] } = options;
    const { bytes, packets } = sa.lifetime;
    const entry = this.sad.add(sa, (slot) => ({
      slot,
      sa,
      destination: addr(sa.outer.destination),
      window: new ReplayWindow(sa.replayWindowPackets + 4096),
      isWindowComplete: true,
      check: new TunnelCheck(sa.sourceSelectors, sa.destinationSelectors),
      dvipa: {
        address: addr(sa.dvipa),
        filterMode,
        filter: new InboundFilter(rules),
        distributesClear: false,
        returnVia: 'direct' as const,
      },
      meter: new LifesizeMeter(options.credit ?? UNLIMITED, {
        hardBytes: bytes.hard,
        hardPackets: packets.hard,
      }),
      committed: new CommittedNumbers(sa.id),
      wrongIcvs: 0,
      fit: pathFitOf(sa, new PathMtus(this.limits)),
      peerAddress: addr(sa.outer.source),
      peerPort: sa.outer.sourcePort,
    }));
    this.crypto.install(entry.slot, sa);
    return entry;
  }

  /** One vector from the link, each packet with the next dispatch number. */
  run(...datagrams: readonly Uint8Array[]) {
    return this.runAs(this.epoch, datagrams);
  }

  /** One vector of an SA with ESN, as the routing host has inferred the high halves. */
  runExtended(...packets: readonly { readonly high: number; readonly datagram: Uint8Array }[]) {
    const vector = vectorOf(...packets.map(({ datagram }) => datagram));
    packets.forEach(({ high }, i) => {
      vector.dispatch[i] = ++this.#dispatch;
      vector.sequenceHigh[i] = high;
      putHighHalf(vector, i);
    });
    this.inbound.run(vector, this.epoch, this.epoch, this.addresses, this.floor, true);
    return vector;
  }

  /** As `run`, under the epoch that the link carries; `dispatches` in place of the next numbers. */
  runAs(epoch: number, datagrams: readonly Uint8Array[], dispatches?: readonly number[]) {
    const vector = vectorOf(...datagrams);
    datagrams.forEach((_, i) => {
      vector.dispatch[i] = dispatches?.[i] ?? ++this.#dispatch;
    });
    this.inbound.run(vector, epoch, this.epoch, this.addresses, this.floor);
    return vector;
  }
}
