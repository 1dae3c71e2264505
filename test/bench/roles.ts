/**
 * What each role costs a packet, in nanoseconds of its host's processor (`support/host-cpu.ts`): `scripts/bench roles` (root).
 * Real hosts of the lab, all in one run and by turns: a cluster of ours with one target, and a strongSwan gateway with kernel-libipsec.
 *
 * Towards the DVIPA a peer's packets (`support/flood.c`) go their whole way, up to the TUN of the host that opens them, whose counters say
 * what came through; behind it they are dropped. From the DVIPA TCP segments are put into the TUN (`support/inject.c`) and counted at the
 * peer. The generator never has more under way than the queues hold, so what is lost is a fault, and is told.
 */
import type { LabProcess } from '../../src/lab/host.ts';
import { Cluster } from '../interop/support/cluster.ts';
import { BenchPeer, countersOf, type Flood } from './support/bench-peer.ts';
import { gatewayUp, SUPER_PACKETS } from './support/gateway.ts';
import { leaveMeasuredProcessor, place, steerToOthers } from './support/host-cpu.ts';
import { Role } from './support/role.ts';
import { type Measurement, median, ratioOf } from './support/rows.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 1.5);
/** Full packets; and what interactive traffic, acknowledgements and VoIP are like. */
const SIZES = [1440, 100] as const;
/** What kernel-libipsec takes from its TUN at most: it cuts off the rest. */
const OUTBOUND_BYTES = 1400;
/** kernel-libipsec reads from a socket buffer of the system's default size, 92 full packets on Debian. */
const STOCK_WINDOW = 64;
const WINDOW = 2048;
/** Behind the TUN: an application's work is not the role's. */
const DROP = (device: string) =>
  `table ip bench {\n chain in {\n type filter hook prerouting priority -400; iifname "${device}" drop\n }\n}\n`;

await leaveMeasuredProcessor();
const cluster = await Cluster.up('brc', {
  scenario: 'bench',
  targets: 1,
  clients: 2,
  tunnels: false,
  servers: false,
  ...SUPER_PACKETS,
});
const gateway = await gatewayUp('brg').catch(async (error: unknown) => {
  await cluster.down();
  throw error;
});
try {
  const { lab } = cluster;
  const pid = (of: LabProcess) => of.pid;
  const target = lab.host('target1');
  const agent = () => pid(lab.process('target1', 'agent'));
  const routing = [pid(lab.process('router1', 'agent')), pid(lab.process('router1', 'charon'))];
  const charon = [pid(gateway.process('router1', 'charon'))];
  for (const { plan, host } of [lab, gateway].map((one) => ({ plan: one.plan, host: one.host.bind(one) })))
    await steerToOthers([...plan.map(({ name }) => host(name)), host('outside'), host('cluster')]);
  await target.must(['nft', '-f', '-'], { input: DROP('dvipa0') });
  await gateway.router.must(['nft', '-f', '-'], { input: DROP('ipsec0') });

  const peer = await BenchPeer.up(lab);
  const stockPeer = await BenchPeer.up(gateway);
  const load = (bytes: number, segments: number): Omit<Flood, 'counters'> => ({
    bytes,
    segments,
    window: WINDOW,
    seconds: SECONDS,
  });
  const stock = (bytes: number): Omit<Flood, 'counters'> => ({ ...load(bytes, 1), window: STOCK_WINDOW });
  const throughTarget = (bytes: number, segments: number) =>
    peer.flood({ ...load(bytes, segments), counters: countersOf(agent(), 'dvipa0') });

  // Its threads run where they like, as they do by themselves; `pinned`, where nobody wakes another processor, for comparison.
  const stockRoles = ['', 'pinned.'].map((how) => [
    ...SIZES.map((bytes) => {
      const counters = countersOf(charon[0] as number, 'ipsec0');
      const work = () => stockPeer.flood({ ...stock(bytes), counters });
      return new Role(`libipsec.${how}decrypt.${bytes}`, () => charon, work);
    }),
    new Role(
      `libipsec.${how}encrypt.${OUTBOUND_BYTES}`,
      () => charon,
      () => stockPeer.receive(gateway.router, 'ipsec0', stock(OUTBOUND_BYTES)),
    ),
  ]);
  const routes = SIZES.flatMap((bytes) =>
    [1, 8, 40].map(
      (segments) =>
        new Role(
          `routing.${segments}.${bytes}`,
          () => routing,
          () => throughTarget(bytes, segments),
        ),
    ),
  );
  const libraries = ['openssl', 'ipsec-mb'] as const;
  const inbound = libraries.map(
    (library) =>
      new Role(
        `target.in.${library}.1440`,
        () => [agent()],
        () => throughTarget(1440, 40),
      ),
  );
  const outbound = libraries.map(
    (library) =>
      new Role(
        `target.out.${library}.${OUTBOUND_BYTES}`,
        () => [agent()],
        () => peer.receive(target, 'dvipa0', load(OUTBOUND_BYTES, 40)),
      ),
  );
  const useLibrary = async (library: string) => {
    await lab.process('target1', 'agent').stop();
    lab.rewriteConfiguration('target1', { crypto_library: library });
    lab.startAgent('target1');
    await cluster.serving();
    await cluster.installed(1);
  };

  for (let n = 0; n < ROUNDS; n++) {
    for (const [i, where] of (['free', 'measured'] as const).entries()) {
      await place(gateway.router, charon, where);
      for (const role of stockRoles[i] ?? []) await role.measure();
    }
    await place(lab.router, routing, 'measured');
    for (const role of routes) await role.measure();
    await place(lab.router, routing, 'others');
    for (const [i, library] of libraries.entries()) {
      await useLibrary(library);
      await place(target, [agent()], 'measured');
      await inbound[i]?.measure();
      await outbound[i]?.measure();
      await place(target, [agent()], 'others');
    }
  }

  const roles = [...stockRoles.flat(), ...routes, ...inbound, ...outbound];
  const of = (name: string) => roles.find((role) => role.name === name) as Role;
  const rows: Record<string, Measurement> = {};
  const row = (key: string, name: string, base: Role) => {
    const ours = of(name);
    if (ours.failure !== undefined || base.failure !== undefined) return;
    rows[key] = {
      ...ratioOf(ours.ns, base.ns),
      measured: `CPU of the whole host, ${name} against ${base.name}`,
      parts: { 'ours ns': median(ours.ns), 'kernel-libipsec ns': median(base.ns) },
    };
  };
  const decrypts = of('libipsec.decrypt.1440');
  const encrypts = of(`libipsec.encrypt.${OUTBOUND_BYTES}`);
  row('routing.uncoalesced', 'routing.1.1440', decrypts);
  row('routing.coalesced8', 'routing.8.1440', decrypts);
  row('routing.coalesced40', 'routing.40.1440', decrypts);
  row('target.in.evp', 'target.in.openssl.1440', decrypts);
  row('target.in.mb', 'target.in.ipsec-mb.1440', decrypts);
  row('target.out.evp', `target.out.openssl.${OUTBOUND_BYTES}`, encrypts);
  row('target.out.mb', `target.out.ipsec-mb.${OUTBOUND_BYTES}`, encrypts);
  const figures = Object.assign({}, ...roles.map((role) => role.figures())) as Record<string, unknown>;
  console.log(JSON.stringify({ bench: 'roles', rounds: ROUNDS, ...figures, rows }));
} finally {
  await gateway.down();
  await cluster.down();
}
