import { every } from '../../../src/base/clock.ts';
import { DropCounters } from '../../../src/base/verdict.ts';
import { sealForFunnel } from '../../../src/agents/target/funnel-sender.ts';
import { ShadowCache } from '../../../src/agents/target/shadow-cache.ts';
import { TargetReports } from '../../../src/agents/target/target-reports.ts';
import { TargetRelations } from '../../../src/agents/target/target-session.ts';
import { FlowTracker } from '../../../src/connections/flow-tracker.ts';
import { EpochMemory } from '../../../src/coupling/epoch-gate.ts';
import { SnapshotInventory } from '../../../src/coupling/snapshot-inventory.ts';
import { LINK_PROTOCOL } from '../../../src/dataplane/ports.ts';
import { TargetInbound } from '../../../src/dataplane/target-inbound.ts';
import { TargetOutbound } from '../../../src/dataplane/target-outbound.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import { DVIPA, ip } from '../inner-packets.ts';
import type { ManualClock } from '../manual-clock.ts';
import { type MemoryLink, type Network, Sink, vectorOfAll } from './network.ts';
import { ROUTER_ADDRESS, silent, targetAddress } from './router.ts';

export interface TargetOptions {
  readonly n: number;
  readonly clock: ManualClock;
  readonly network: Network;
  readonly toOutside: (datagram: Buffer) => void;
  /** An inner packet that reached this host's TUN; what comes back leaves by it. */
  readonly application: (inner: Buffer) => readonly Buffer[];
}

/** One life of a target agent: the real classes as `target-agent.ts` joins them, over memory in place of sockets. */
export class MemoryTarget {
  readonly n: number;
  readonly host: string;
  readonly incarnation: bigint;
  readonly drops = new DropCounters();
  readonly cache = new ShadowCache([DVIPA]);
  readonly flows = new FlowTracker({ seed: Buffer.alloc(8, 9) });
  readonly reports: TargetReports;
  readonly relations: TargetRelations;
  readonly inbound: TargetInbound;
  readonly outbound: TargetOutbound;
  readonly epochs = new EpochMemory();
  readonly inventory = new SnapshotInventory();
  isUp = true;
  readonly #clock: ManualClock;
  readonly #link: MemoryLink;
  readonly #answers: Buffer[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(options: TargetOptions, incarnation: bigint) {
    const { n, clock, network } = options;
    this.n = n;
    this.host = `target${n}`;
    this.incarnation = incarnation;
    this.#clock = clock;
    const { cache, drops, flows } = this;
    this.#link = network.openLink(targetAddress(n));
    const link = this.#link;
    link.setPeer(0, ROUTER_ADDRESS);
    this.reports = new TargetReports(clock, cache, flows);
    const { reports } = this;
    const outbound = () => this.outbound;
    this.relations = new TargetRelations({ clock, log: silent, drops, cache, reports, outbound });
    const { relations } = this;
    this.inbound = new TargetInbound({
      sad: cache.inbound,
      crypto: cache.opening,
      tun: new Sink((inner) => this.#answers.push(...options.application(inner))),
      drops,
      onAuthenticated: (vector, i, { sa }) => this.#observe(vector, i, true, sa.reqid),
      onReportDue: (entry) => reports.numbersDue(entry),
    });
    this.outbound = new TargetOutbound({
      sad: cache.outbound,
      crypto: cache.sealing,
      raw: new Sink((datagram) => options.toOutside(datagram)),
      drops,
      dvipas: new Set([ip(DVIPA)]),
      sendToFunnel: (vector) => {
        sealForFunnel(vector, cache.outbound, relations.linkKeys.sealer, relations.epoch);
        vector.target.fill(0, 0, vector.count);
        link.send(vector, 0, LINK_PROTOCOL.SEALED, relations.epoch);
      },
      onNumbering: (entry) => relations.numberingChanged(entry),
      onOutbound: (vector, i, { sa }) => this.#observe(vector, i, false, sa.reqid),
    });
    link.onReceive((packets, _peer, protocol, epoch) => {
      if (protocol !== LINK_PROTOCOL.OUTER_IPV4) return;
      this.inbound.run(packets, epoch, relations.epoch, cache.addresses, relations.floor);
      reports.inboundHandled(this.inbound.touched);
    });
    const housekeeping = every(clock, 50, () => this.outbound.tick(clock.now()));
    this.#stops.push(
      () => housekeeping.cancel(),
      () => reports.close(),
      () => relations.close(),
      () => void link.close(),
      () => cache.clear(),
    );
  }

  /** What the application answered leaves by the TUN. */
  deliver(): void {
    const packets = this.#answers.splice(0);
    if (packets.length === 0 || !this.isUp) return;
    this.outbound.run(vectorOfAll(packets), this.#clock.now());
    this.reports.flowsChanged();
  }

  kill(): void {
    this.isUp = false;
    for (const stop of this.#stops) stop();
  }

  #observe(vector: PacketVector, i: number, isInbound: boolean, reqid: number): void {
    const [near, far] = isInbound
      ? (['source', 'destination'] as const)
      : (['destination', 'source'] as const);
    const address = { source: vector.innerSource, destination: vector.innerDestination };
    const port = { source: vector.sourcePort, destination: vector.destinationPort };
    const key = {
      dvipa: address[far][i] as number,
      reqid,
      protocol: vector.protocol[i] as number,
      source: address[near][i] as number,
      sourcePort: port[near][i] as number,
      destinationPort: port[far][i] as number,
    };
    this.flows.observe(key, vector.tcpFlags[i] as number, isInbound, this.#clock.now());
  }
}
