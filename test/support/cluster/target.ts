import { every } from '../../../src/base/clock.ts';
import { DropCounters } from '../../../src/base/verdict.ts';
import { ROUTER_PEER, TargetHost } from '../../../src/agents/target/target-host.ts';
import type { ListeningPorts, ListeningSource } from '../../../src/agents/target/target-listeners.ts';
import { targetCommands } from '../../../src/agents/target/target-commands.ts';
import { targetAnswers } from '../../../src/agents/target/target-snapshots.ts';
import type { TargetConfig } from '../../../src/config/index.ts';
import { EventLog, recordingLog } from '../../../src/observe/event-log.ts';
import type { AdminHandlers } from '../../../src/observe/admin-answers.ts';
import { EpochMemory } from '../../../src/coupling/epoch-gate.ts';
import { SnapshotInventory } from '../../../src/coupling/snapshot-inventory.ts';
import { DVIPA } from '../inner-packets.ts';
import type { ManualClock } from '../manual-clock.ts';
import { type Network, Sink, vectorOfAll } from './network.ts';
import { ROUTER_ADDRESS, silent, targetAddress } from './router.ts';
import { CRYPTOS } from '../packet-cryptos.ts';

export interface TargetOptions {
  readonly n: number;
  readonly clock: ManualClock;
  readonly network: Network;
  readonly toOutside: (datagram: Buffer) => void;
  /** An inner packet that reached this host's TUN; what comes back leaves by it. */
  readonly application: (inner: Buffer) => readonly Buffer[];
  /** Numbers of targets whose hosts are in maintenance: kept when an agent is killed. */
  readonly inMaintenance: Set<number>;
}

/** Sockets of a kernel in memory. Clients of the tests go to port 80. */
export class MemoryListeners implements ListeningSource {
  readonly tcp = new Set([80]);
  readonly udp = new Set([53]);
  /** How often it was asked, and how often because something had changed for sure. */
  looks = 0;
  thoroughLooks = 0;
  readonly isTruncated = false;
  #seen = { tcp: [80], udp: [53] };

  portsOf(): ListeningPorts {
    return this.#seen;
  }

  async look(isThorough: boolean): Promise<void> {
    this.looks++;
    if (isThorough) this.thoroughLooks++;
    const ascending = (ports: ReadonlySet<number>) => [...ports].toSorted((a, b) => a - b);
    this.#seen = { tcp: ascending(this.tcp), udp: ascending(this.udp) };
  }
}

/** One life of a target agent: its `TargetHost`, over memory in place of sockets. */
export class MemoryTarget {
  readonly n: number;
  readonly host: string;
  readonly incarnation: bigint;
  readonly drops = new DropCounters();
  readonly parts: TargetHost;
  readonly epochs = new EpochMemory();
  readonly inventory = new SnapshotInventory();
  /** Ports that its applications listen on. */
  readonly listening = new MemoryListeners();
  /** DVIPAs from which its guard lets clear text out. */
  clearFrom: readonly string[] = [];
  cpu = { busy: 0, total: 1 };
  isUp = true;
  readonly answers: AdminHandlers;
  readonly commands: ReturnType<typeof targetCommands>;
  readonly events = new EventLog({ instance: '00112233445566aa', wallClock: () => 0 });
  readonly #answers: Buffer[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(options: TargetOptions, incarnation: bigint) {
    const { n, clock, network } = options;
    this.n = n;
    this.host = `target${n}`;
    this.incarnation = incarnation;
    const link = network.openLink(targetAddress(n));
    link.setPeer(ROUTER_PEER, ROUTER_ADDRESS);
    const raw = new Sink((datagram) => options.toOutside(datagram));
    this.parts = new TargetHost({
      clock,
      log: recordingLog(silent, this.events),
      drops: this.drops,
      dvipas: [DVIPA],
      link,
      tun: new Sink((inner) => this.#answers.push(...options.application(inner))),
      limits: { outside: 1500, cluster: 1500 },
      raw,
      cryptos: CRYPTOS,
      listening: this.listening,
      cpuTimes: () => Promise.resolve(this.cpu),
      onClearText: (dvipas) => {
        this.clearFrom = dvipas;
      },
      onSourcePorts: () => {},
      maintenanceMark: {
        isSet: () => options.inMaintenance.has(n),
        set: (isOn) => void (isOn ? options.inMaintenance.add(n) : options.inMaintenance.delete(n)),
      },
      hashSeed: Buffer.alloc(8, 9),
    });
    const { host, parts, drops } = this;
    const config = { host, router: { host: 'router1', address: ROUTER_ADDRESS } } as TargetConfig;
    const { cache, relations, inbound, delivery, sealedInbound, clearText, outbound, flows, maintenance } =
      parts;
    this.answers = targetAnswers({
      config,
      startedAt: clock.now(),
      now: () => clock.now(),
      drops,
      listening: this.listening,
      cache,
      relations,
      inbound,
      delivery,
      sealedInbound,
      clearText,
      outbound,
      flows,
      maintenance,
      overrun: parts.overrun,
      link,
      raw,
    });
    this.commands = targetCommands({ maintenance, flows, host }, this.events);
    const housekeeping = every(clock, 50, () => this.parts.tick(clock.now()));
    this.#stops.push(
      () => housekeeping.cancel(),
      () => void link.close(),
      () => this.parts.close(),
    );
  }

  get cache() {
    return this.parts.cache;
  }

  get relations() {
    return this.parts.relations;
  }

  get inbound() {
    return this.parts.inbound;
  }

  get outbound() {
    return this.parts.outbound;
  }

  /** What the application answered leaves by the TUN. */
  deliver(): void {
    const packets = this.#answers.splice(0);
    if (packets.length > 0 && this.isUp) this.parts.send(vectorOfAll(packets));
  }

  kill(): void {
    this.isUp = false;
    for (const stop of this.#stops) stop();
  }
}
