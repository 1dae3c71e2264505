/**
 * `make demo`: brings the lab up, shows the main job, proves it from outside the agents, shows that the proof can fail,
 * and takes the lab down. Writes out/demo.json. Exit status 0 only if all of it held.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSwanctl, terminate } from '../charon.ts';
import { Lab } from '../lab.ts';
import { PROJECT_ROOT } from '../program.ts';
import { waitFor } from '../wait-for.ts';
import { type Check, clearPackets, judge, type Measurement } from './checks.ts';
import { type MeasureOptions, measure } from './measure.ts';

const CONNECTIONS = 60;
const DOWNLOAD_BYTES = 50_000_000;
/**
 * Soft and hard limit of every SA. With rekey_time = 0 nothing else can cause a rekey. The hard one leaves time for an IKE
 * message that the client's full socket loses: its one socket takes IKE and all of ESP.
 */
const LIMITS = { rekey_bytes: 12_000_000, life_bytes: 240_000_000 };
const NEVER = { rekey_bytes: 1_000_000_000_000, life_bytes: 2_000_000_000_000 };

const started = performance.now();
const report = join(PROJECT_ROOT, 'out/demo.json');

function tell(line: string): void {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}

function tellChecks(checks: readonly Check[]): void {
  for (const { holds, line } of checks) console.log(`          ${holds ? 'ok     ' : 'FAILED '} ${line}`);
}

const full: Omit<MeasureOptions, 'name'> = {
  connections: CONNECTIONS,
  downloadBytes: DOWNLOAD_BYTES,
  downloadSeconds: 120,
  initiates: true,
  progress: tell,
};

async function demo(): Promise<boolean> {
  const lab = await Lab.up({
    scenario: 'endpoint',
    targets: 3,
    clients: 2,
    tunnels: false,
    values: { rekey_time: 0, ike_rekey_time: 0, ...LIMITS },
    progress: tell,
  });
  try {
    const targets = lab.hostsOf('target').map(({ name }) => name);
    const judged = (seen: Measurement) => judge(seen, targets, lab.router.name);
    const failedNames = (checks: readonly Check[]) =>
      checks.filter(({ holds }) => !holds).map(({ name }) => name);

    const seen = await measure(lab, { ...full, name: 'demo' });
    tell('the SAs as charon sees them');
    console.log((await lab.router.must(['swanctl', '--list-sas'])).replaceAll(/^/gm, '          '));
    const checks = judged(seen);
    tell('what was seen');
    tellChecks(checks);

    tell('control: a byte limit that is never reached; the rekey check must fail, and no other');
    const unlimited = failedNames(judged(await measureUnlimited(lab)));
    tell(`  failed as it had to: ${unlimited.join(', ') || 'nothing'}`);

    tell('control: the routing agent stopped; the checks of traffic must fail');
    await lab.process(lab.router.name, 'agent').stop();
    const stopped = failedNames(
      judged(
        await measure(lab, {
          ...full,
          ...SHORT,
          name: 'control-stopped',
          initiates: false,
          progress: () => {},
        }),
      ),
    );
    tell(`  failed as they had to: ${stopped.join(', ') || 'nothing'}`);

    const controls: Check[] = [
      {
        name: 'rekeys',
        holds: unlimited.join() === 'rekeys',
        line: `control "limit never reached" failed: ${unlimited.join(', ')}`,
      },
      {
        name: 'requests',
        holds: ['spread', 'requests', 'download', 'marker'].every((name) =>
          (stopped as string[]).includes(name),
        ),
        line: `control "agent stopped" failed: ${stopped.join(', ')}`,
      },
    ];
    const holds = [...checks, ...controls].every((check) => check.holds);
    writeReport(seen, [...checks, ...controls], holds);
    return holds;
  } finally {
    tell('lab down');
    await lab.down();
  }
}

const SHORT = { connections: 6, requestSeconds: 1, downloadBytes: 1_000_000, downloadSeconds: 3 };

/** The same again on new SAs whose limits are out of reach. */
async function measureUnlimited(lab: Lab): Promise<Measurement> {
  for (const client of lab.hostsOf('client')) await terminate(client);
  await waitFor(
    'the old SAs are gone',
    async () => (await lab.router.must(['swanctl', '--list-sas'])) === '',
  );
  lab.rewriteConfiguration(lab.router.name, NEVER);
  await loadSwanctl(lab.router);
  return measure(lab, { ...full, name: 'control-unlimited', progress: () => {} });
}

function writeReport(seen: Measurement, checks: readonly Check[], holds: boolean): void {
  const { connections, perTarget, failedRequests, drops, rekeys, rekeysFromCounts } = seen;
  const { opened, openedInPlaceOfTargets } = seen;

  const { bytes, sha256ok, mbitPerSecond } = seen.download;
  const result = {
    holds,
    connections,
    perTarget,
    failedRequests,
    download: { bytes, sha256ok, mbitPerSecond: Math.round(mbitPerSecond * 10) / 10 },
    espPackets: seen.outside.esp ?? 0,
    clearPackets: clearPackets(seen),
    espRepeats: seen.espRepeats,
    rekeys,
    rekeysFromCounts,
    drops,
    opened,
    openedInPlaceOfTargets,
    outside: seen.outside,
    cluster: seen.cluster,
    marker: { onWires: seen.markerOnWires, onTuns: seen.markerOnTuns },
    checks: checks.map((check) => ({ ...check })),
    seconds: Math.round((performance.now() - started) / 100) / 10,
  };
  mkdirSync(join(PROJECT_ROOT, 'out'), { recursive: true });
  writeFileSync(report, `${JSON.stringify(result, undefined, 2)}\n`);
}

// A run that stops halfway must not leave the report of an earlier one.
mkdirSync(join(PROJECT_ROOT, 'out'), { recursive: true });
writeFileSync(report, `${JSON.stringify({ holds: false })}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    tell(`${signal}: lab down`);
    void Lab.cleanUpNow().finally(() => process.exit(1));
  });
}

try {
  const holds = await demo();
  tell(holds ? `all of it holds; figures in ${report}` : `SOMETHING DID NOT HOLD; figures in ${report}`);
  process.exitCode = holds ? 0 : 1;
} catch (error) {
  tell(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
  await Lab.cleanUpNow();
  process.exitCode = 1;
}
