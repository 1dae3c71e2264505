import { KeyMaterial } from '../../../src/base/key-material.ts';
import { packNumbers, unpackNumbers } from '../../../src/ipsec/number-ranges.ts';
import { DispatchFloor } from '../../../src/dataplane/dispatch-floor.ts';
import type { ShadowInboundSa } from '../../../src/dataplane/target-inbound.ts';
import { LinkNodeCipher } from '../../../src/ipsec/link-node-cipher.ts';
import { LinkSealer } from '../../../src/ipsec/link-seal.ts';
import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import { addr } from '../../support/inner-packets.ts';
import { EventQueue, Random } from '../event-queue.ts';
import { Oracle } from './oracle.ts';
import { Outside } from './outside.ts';
import { simSa } from './sim-esp.ts';
import type { OnLink } from './sim-link.ts';
import { type RouterSa, SimRouter } from './sim-router.ts';
import { Settings } from './settings.ts';
import { SimSession } from './sim-session.ts';
import { SimTarget } from './sim-target.ts';
import { countedPackets, look, type Watched } from './watch.ts';

/** Until then hosts die. */
const FAULTS_MS = 45;
const END_MS = 120;
const REPORT_MS = 5;
const CHECK_MS = 25;
/** As `FALLBACK_AFTER_MS` of the agent, in the time of a run. */
const FALLBACK_AFTER_MS = 10;
/** In place of a target that is dead and cannot return its windows. */
const NOBODY = -1;

interface Place {
  readonly index: number;
  target: SimTarget;
  session: SimSession | undefined;
  sealer: LinkSealer | undefined;
  isUp: boolean;
  isReportArmed: boolean;
}

/**
 * Peers, an adversary on the outside network, a routing host and its targets, all from one seed. The hosts' ways in are the real
 * ones, with their tables, windows and rings; only sockets, cryptography and the agents around them are the simulation's.
 */
export class AttackWorld {
  readonly random: Random;
  readonly events = new EventQueue();
  readonly oracle = new Oracle();
  readonly settings: Settings;
  readonly #outside: Outside;
  readonly #sas: SecurityAssociation[];
  readonly #places: Place[];
  /** SAs of which the store says that a next life of the agent must not dispatch on them. */
  readonly #marked = new Set<number>();
  router: SimRouter | undefined;
  #epoch = 0;
  refusals = 0;
  restarts = 0;
  claims = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.settings = new Settings(this.random);
    const { random, events, oracle, settings } = this;
    const { hasEsn, windowPackets, targets } = settings;
    const captured = (datagrams: readonly Buffer[]) => this.router?.run(datagrams);
    this.#outside = new Outside({ random, events, oracle, settings, captured });
    this.#sas = this.#outside.peers.map(({ spi, group, address, inner }) =>
      simSa({
        spi,
        group,
        reqid: group,
        client: address,
        clientInner: inner,
        hasEsn,
        replayWindowPackets: windowPackets,
      }),
    );
    this.#places = Array.from({ length: targets }, (_, index) => ({
      index,
      target: this.#newTarget(index),
      session: undefined,
      sealer: undefined,
      isUp: true,
      isReportArmed: false,
    }));
  }

  run(): void {
    this.#startRouter();
    const { events } = this;
    this.#outside.start();
    if (this.settings.deaths > 0) events.after(10, () => this.#breakThings());
    events.after(CHECK_MS, () => this.#check());
    events.after(2, () => this.#tick());
    events.runUntil(END_MS);
    look(this.#watched());
  }

  /** Drops of the routing host that is there at the end. */
  drops(reason: Parameters<SimRouter['drops']['get']>[0]): number {
    return this.router?.drops.get(reason) ?? 0;
  }

  /** Packets that all hosts together count as used. */
  get counted(): number {
    const watched = this.#watched();
    return this.#sas.reduce((sum, sa) => sum + countedPackets(watched, sa), 0);
  }

  #tick(): void {
    this.router?.tick();
    this.events.after(2, () => this.#tick());
  }

  #startRouter(): void {
    const isFirst = this.#epoch === 0;
    this.#epoch++;
    const router = new SimRouter({
      settings: this.settings,
      epoch: this.#epoch,
      now: () => this.events.now,
      carry: (packet) => this.#onLink(packet),
      sealerOf: (target) => this.#places[target]?.sealer,
      onClaim: (entry, owner, high, low) => this.#claim(router, entry, owner, high, low),
      onStarved: (entry) => this.#starved(router, entry),
    });
    this.router = router;
    for (const sa of this.#sas) {
      const awaiting = isFirst ? [] : this.#places.map(({ index }) => index);
      if (this.#marked.has(sa.spi)) awaiting.push(NOBODY);
      const entry = router.add(sa, awaiting);
      if (this.settings.hasEsn && isFirst)
        entry.owners.merge({ top: this.settings.firstNumber - 1n, bitmap: new Uint8Array(16) });
    }
    for (const place of this.#places) this.#connectSoon(place);
  }

  #connectSoon(place: Place): void {
    this.events.after(this.random.between(0, this.random.pick([0, 6])), () => {
      const { router } = this;
      if (router === undefined || !place.isUp || place.session !== undefined) return;
      this.#open(place, router);
    });
  }

  /** What both agents do when a coupling session opens. */
  #open(place: Place, router: SimRouter): void {
    const { random, events } = this;
    const session = new SimSession(events, random);
    place.session = session;
    const key = KeyMaterial.copyOf(Buffer.from(random.bytes(32)));
    const keyId = random.integer(1, 2 ** 31);
    place.sealer = new LinkSealer(new LinkNodeCipher({ keyId, key }));
    const { target } = place;
    target.opener.install(new LinkNodeCipher({ keyId, key }));
    // The target: fence first, then what it knows.
    // Until the routing host says where its dispatches begin, nothing is accepted from the link.
    target.epoch = 0;
    const dispatched = router.dispatched(place.index);
    session.toTarget(() => {
      target.floor = new DispatchFloor(dispatched);
      target.epoch = router.epoch;
    });
    for (const { sa, window, committed, isWindowComplete } of target.sad.values()) {
      committed.take();
      const snapshot = window.snapshot();
      session.toRouter(() => {
        const entry = router.sad.get(sa.id);
        if (entry?.awaiting.has(place.index) !== true) return;
        entry.owners.merge(snapshot);
        entry.returned.set(place.index, isWindowComplete);
      });
    }
    target.unsettled.clear();
    target.flows.listAll();
    this.#sendFlows(place, session, router);
    const { bornAt } = target;
    session.toRouter(() => {
      for (const entry of router.sad.values()) {
        // The SAs are as old as the run.
        if (entry.returned.get(place.index) ?? bornAt === 0) this.#windowReturned(entry, place, router);
      }
    });
    // The routing host: the snapshot.
    for (const entry of router.sad.values()) this.#install(entry, place, router);
    router.distributor.addTarget(addr('203.0.113.10'), place.index);
  }

  #install(entry: RouterSa, place: Place, router: SimRouter): void {
    const { random, events } = this;
    const { session, target } = place;
    const snapshot = entry.owners.snapshot();
    const isComplete = !entry.isWaitingForWindows;
    const slow = random.chance(0.2) ? random.between(0, 40) : 0;
    session?.toTarget(() => {
      events.after(slow, () => {
        if (!session.isOpen) return;
        target.install(entry.sa, snapshot, isComplete);
        session.toRouter(() => {
          entry.serving.add(place.index);
          router.inbound.release(entry.sa.spi, events.now);
        });
      });
    });
  }

  #windowReturned(entry: RouterSa, place: Place, router: SimRouter): void {
    if (!entry.awaiting.delete(place.index) || entry.awaiting.size > 0) return;
    for (const other of this.#places) this.#install(entry, other, router);
    router.inbound.release(entry.sa.spi, this.events.now);
  }

  #newTarget(index: number): SimTarget {
    const target: SimTarget = new SimTarget({
      index,
      hasEsn: this.settings.hasEsn,
      now: () => this.events.now,
      toApplication: (inner, id) => this.oracle.delivered(inner, id),
      onMoved: (entry, place, high, low) => this.#moved(target, entry, place, high, low),
      onReportDue: (entry) => this.#report(target, entry),
    });
    return target;
  }

  #onLink(packet: OnLink): void {
    const place = this.#places[packet.target] as Place;
    const { random } = this;
    if (random.chance(this.settings.linkLoss)) return;
    const copies = random.chance(0.03) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const slow = !this.settings.isCalm && random.chance(0.03) ? random.between(0, 15) : 0;
      this.events.after(random.between(0.05, 0.8) + slow, () => {
        if (!place.isUp) return;
        place.target.receive(packet); // also a later life of it
        this.#armReport(place);
      });
    }
  }

  #armReport(place: Place): void {
    if (place.isReportArmed) return;
    place.isReportArmed = true;
    const { target } = place;
    this.events.after(REPORT_MS, () => {
      if (place.target !== target) return;
      place.isReportArmed = false;
      const { session, router } = { session: place.session, router: this.router };
      if (session === undefined || router === undefined) return;
      target.floor.advance();
      for (const entry of target.unsettled) this.#report(target, entry);
      if (target.floor.isBehind) this.#armReport(place);
      else target.unsettled.clear();
      this.#sendFlows(place, session, router);
    });
  }

  #report(target: SimTarget, { sa, committed, ...entry }: ShadowInboundSa): void {
    const place = this.#places[target.index] as Place;
    const { router } = this;
    if (place.target !== target || place.session === undefined || router === undefined) return;
    const numbers = packNumbers(unpackNumbers(committed.take()));
    const { floor } = target.floor;
    const { wrongIcvs } = entry;
    const usage = { packets: entry.meter.packets, bytes: entry.meter.bytes };
    place.session.toRouter(() => {
      const known = router.sad.get(sa.id);
      if (known === undefined) return;
      this.refusals += known.owners.reported(target.index, numbers, Number(floor)).refused;
      known.suspicion.wrong(Math.min(wrongIcvs, 1), this.events.now);
      const believed = known.given.cap(target.index, usage);
      if (believed.packets !== usage.packets || believed.bytes !== usage.bytes) this.refusals++;
    });
  }

  #sendFlows(place: Place, session: SimSession, router: SimRouter): void {
    for (;;) {
      const events = place.target.flows.take(64);
      if (events === undefined) return;
      session.toRouter(() => {
        for (const key of events.opened) router.distributor.confirm(key, place.index, this.events.now);
        for (const key of events.closed) router.distributor.close(key, place.index, this.events.now);
      });
    }
  }

  #claim(router: SimRouter, entry: RouterSa, owner: number, high: number, low: number): void {
    this.claims++;
    const { session, target } = this.#places[owner] as Place;
    session?.toTarget(() => {
      const isGiven = target.sad.get(entry.sa.id)?.window.commit(high, low) === true;
      session.toRouter(() => {
        if (!router.opening.claimAnswered(entry, owner, high, low, isGiven)) this.refusals++;
      });
    });
  }

  #starved(router: SimRouter, entry: RouterSa): void {
    const { events } = this;
    if (entry.fallback !== 'off' || events.now - entry.addedAt < FALLBACK_AFTER_MS) return;
    if (this.#places.every(({ session }) => session === undefined)) return;
    entry.fallback = 'storing';
    events.after(0.5, () => {
      this.#marked.add(entry.sa.spi);
      if (this.router !== router) return;
      entry.fallback = 'ready';
      router.inbound.release(entry.sa.spi, events.now);
    });
  }

  #moved(target: SimTarget, { sa }: ShadowInboundSa, place: string, high: number, low: number): void {
    const { router } = this;
    const [address, port] = place.split(':') as [string, string];
    this.#places[target.index]?.session?.toRouter(() => {
      const source = router?.sources.numberOf(addr(address), 0, Number(port)) ?? 0;
      if (router?.sad.get(sa.id)?.owners.moved(high, low, target.index, source) === 'moved')
        this.oracle.moved(sa.spi, place);
    });
  }

  #breakThings(): void {
    const { random, events } = this;
    if (events.now > FAULTS_MS) return;
    for (const place of this.#places) {
      if (!place.isUp || !random.chance(this.settings.deaths)) continue;
      this.restarts++;
      if (random.chance(0.5)) this.#killTarget(place);
      this.#lose(place);
    }
    if (random.chance(this.settings.deaths / 2)) this.#killRouter();
    events.after(1, () => this.#breakThings());
  }

  #killTarget(place: Place): void {
    place.isUp = false;
    this.events.after(this.random.pick([0, 1, 20]) * this.random.next(), () => {
      place.target = this.#newTarget(place.index);
      place.isReportArmed = false;
      place.isUp = true;
      for (const { given } of this.router?.sad.values() ?? []) given.restarted(place.index);
      this.#connectSoon(place);
    });
  }

  /** The session ends; the target may live on and handle what is on its way to it. */
  #lose(place: Place): void {
    const { router } = this;
    if (place.session === undefined) return;
    place.session.isOpen = false;
    place.session = undefined;
    place.sealer = undefined;
    if (router !== undefined) {
      router.distributor.removeTarget(place.index);
      router.opening.targetLost(place.index);
      for (const entry of router.sad.values()) {
        entry.serving.delete(place.index);
        entry.returned.delete(place.index);
        if (entry.owners.targetLost(place.index) > 0) this.#marked.add(entry.sa.spi);
      }
    }
    this.#connectSoon(place);
  }

  /** As after kill -9: nobody is told, sessions end. */
  #killRouter(): void {
    if (this.router === undefined) return;
    this.restarts++;
    this.router = undefined;
    for (const place of this.#places) {
      if (place.session !== undefined) place.session.isOpen = false;
      place.session = undefined;
      place.sealer = undefined;
    }
    this.events.after(this.random.between(1, 15), () => this.#startRouter());
  }

  #check(): void {
    look(this.#watched());
    this.events.after(CHECK_MS, () => this.#check());
  }

  #watched(): Watched {
    const { oracle, settings, router, events } = this;
    const targets = this.#places.map(({ target }) => target);
    return { oracle, settings, router, targets, peers: this.#outside.peers, sas: this.#sas, now: events.now };
  }
}
