import { DropCounters } from '../../src/base/verdict.ts';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { ClearConnections } from '../../src/connections/clear-connections.ts';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { OuterSources } from '../../src/connections/outer-sources.ts';
import type { Covers } from '../../src/dataplane/clear-check.ts';
import { ClearReturn } from '../../src/dataplane/clear-return.ts';
import { ClearRouting } from '../../src/dataplane/clear-routing.ts';
import { ClearText } from '../../src/dataplane/clear-text.ts';
import { FragmentMemory } from '../../src/dataplane/fragment-memory.ts';
import { type FilterRule, InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { InboundSad } from '../../src/dataplane/inbound-sad.ts';
import { InnerDelivery } from '../../src/dataplane/inner-delivery.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { RoutingInbound, type RoutingInboundOptions } from '../../src/dataplane/routing-inbound.ts';
import { SealedInbound } from '../../src/dataplane/sealed-inbound.ts';
import { SealedSender } from '../../src/dataplane/sealed-sender.ts';
import type { PacketVector } from '../../src/dataplane/vector.ts';
import { TargetChoice } from '../../src/dataplane/target-choice.ts';
import { LinkNodeCipher } from '../../src/ipsec/link-node-cipher.ts';
import { LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { Peeker } from '../../src/ipsec/peek.ts';
import { AddressMap, AddressSet } from '../../src/packet/address-map.ts';
import { outcomes, RecordingLink, RecordingSink, vectorOf } from '../support/dataplane-parts.ts';
import { addr, DVIPA, DVIPA6, ENDPOINT } from '../support/inner-packets.ts';

const SEED = Buffer.alloc(8, 7);
const EPOCH = 3;

export interface ClearBenchOptions {
  readonly rules?: readonly FilterRule[];
  /** Of the routing host, and of the target. */
  readonly distributes?: readonly [boolean, boolean];
  readonly returnVia?: 'direct' | 'router';
}

export const PERMIT_ALL: FilterRule = { action: 'permit', protocol: 0, fromPort: 0, toPort: 65_535 };

/** The ways of clear text on a routing host and on one target, joined by a sealed link. */
export class ClearBench {
  readonly routerDrops = new DropCounters();
  readonly targetDrops = new DropCounters();
  readonly link = new RecordingLink();
  readonly tun = new RecordingSink();
  readonly raw = new RecordingSink();
  readonly kernel = new RecordingSink();
  /** What the target gave the routing host to send, and what that sent. */
  readonly handedOver = new RecordingSink();
  readonly routerRaw = new RecordingSink();
  readonly distributor = new Distributor({ seed: SEED });
  readonly connections = new ClearConnections({ seed: SEED });
  /** Groups of what was tracked as a flow. */
  readonly tracked: number[] = [];
  now = 1000;
  isRouterReady = true;
  isTargetReady = true;
  covers: Covers = () => false;
  pathMtu: RoutingInboundOptions['pathMtu']['take'] = (_vector, _i, _now, verdict) => verdict;
  limits = { outside: 1500, cluster: 1500 };
  readonly router: RoutingInbound;
  readonly target: SealedInbound;
  readonly clear: ClearText;
  readonly back: ClearReturn;

  constructor({
    rules = [PERMIT_ALL],
    distributes = [true, true],
    returnVia = 'direct',
  }: ClearBenchOptions = {}) {
    const dvipas = [DVIPA, DVIPA6].map(addr);
    const mapOf = (distributesClear: boolean) =>
      new AddressMap(
        dvipas.map(
          (address) =>
            [
              address,
              {
                address,
                filterMode: 'bypass',
                distributesClear,
                returnVia,
                filter: new InboundFilter(rules),
              },
            ] as const,
        ),
      );
    for (const dvipa of dvipas) {
      this.distributor.setDvipa(dvipa);
      this.distributor.addTarget(dvipa, 0);
    }
    const key = { keyId: 1, key: KeyMaterial.copyOf(Buffer.alloc(32, 1)) };
    const opener = new LinkOpener();
    opener.install(new LinkNodeCipher(key));
    const sealer = new LinkSealer(new LinkNodeCipher(key));
    const epoch = () => EPOCH;
    const covers: Covers = (connection) => this.covers(connection);
    const { distributor, link, tun, raw, kernel } = this;
    this.router = new RoutingInbound({
      sad: new InboundSad(),
      addresses: {
        endpoints: new AddressSet([addr(ENDPOINT), ...dvipas]),
        dvipas: new AddressSet(dvipas),
      },
      peek: new Peeker(),
      choice: new TargetChoice(distributor),
      opening: { take: () => false, run: () => {} },
      onStarved: () => {},
      sources: new OuterSources(SEED),
      fragmentHash: new KeyedHash(SEED),
      pathMtu: { take: (vector, i, now, verdict) => this.pathMtu(vector, i, now, verdict) },
      clear: new ClearRouting({
        dvipas: mapOf(distributes[0]),
        covers,
        isReady: () => this.isRouterReady,
        distributor,
        sender: new SealedSender({ link, epoch, sealerOf: () => sealer }),
        clusterMtu: this.limits.cluster,
        drops: this.routerDrops,
      }),
      link,
      drops: this.routerDrops,
      nextDispatch: () => 1,
      epoch,
    });
    const served = mapOf(distributes[1]);
    const fragments = () => new FragmentMemory({ seed: SEED, now: () => this.now });
    const delivery = new InnerDelivery({
      tun,
      admits: () => true,
      onAuthenticated: (_vector, _i, group) => this.tracked.push(group),
    });
    this.clear = new ClearText({
      dvipas: served,
      covers,
      connections: this.connections,
      isReady: () => this.isTargetReady,
      fragments: fragments(),
      limits: this.limits,
      delivery,
      raw,
      sendToRouter: (out) => this.handedOver.send(out),
      kernel,
      drops: this.targetDrops,
      onOutbound: () => this.tracked.push(-1),
      now: () => this.now,
    });
    this.back = new ClearReturn({
      dvipas: mapOf(distributes[0]),
      covers,
      isReady: () => this.isRouterReady,
      isGiven: (connection, target, now) => distributor.mayReport(connection, target, now),
      fragments: fragments(),
      raw: this.routerRaw,
      outsideMtu: this.limits.outside,
      drops: this.routerDrops,
    });
    this.target = new SealedInbound({
      sad: new InboundSad(),
      opener,
      dvipas: served,
      fragments: fragments(),
      delivery,
      clear: this.clear,
      drops: this.targetDrops,
    });
  }

  /** As captured on the routing host, then over the link; what became of them on the routing host. */
  arrive(...packets: readonly Buffer[]): string[] {
    return this.arriveAs(vectorOf(...packets));
  }

  arriveAs(vector: PacketVector): string[] {
    this.router.run(vector, this.now);
    for (const { bytes } of this.link.take()) this.target.run(vectorOf(bytes), EPOCH, EPOCH);
    return outcomes(vector);
  }

  /** The kernel's packets, which no policy is about. */
  leave(...packets: readonly Buffer[]): string[] {
    const vector = vectorOf(...packets);
    for (let i = 0; i < vector.count; i++) {
      vector.verdict[i] = readInnerHeaders(vector, i) || this.clear.outbound(vector, i);
    }
    this.clear.flush();
    return outcomes(vector);
  }

  /** What target `target` hands over, on the routing host; what became of it. */
  comeBack(target: number, ...packets: readonly Buffer[]): string[] {
    const vector = vectorOf(...packets);
    for (let i = 0; i < vector.count; i++) {
      vector.verdict[i] = readInnerHeaders(vector, i) || this.back.take(vector, i, target, this.now);
    }
    this.back.flush();
    return outcomes(vector);
  }
}
