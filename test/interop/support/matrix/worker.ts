/**
 * The worker in a peer's host: does the jobs that appear in a folder (see worker-jobs.ts), one after another. One process
 * for all of them, since a start is dear in a guest.
 *
 *   worker FOLDER
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  initiate,
  rekey,
  systemClock,
  terminate,
  ViciConnection,
  type ViciMessage,
} from '../../../../src/vici/index.ts';
import { exchange } from './exchange.ts';
import type { Answer, Faults, Job, ListedChild } from './worker-jobs.ts';

const POLL_MS = 20;
const AT_ONCE = 6;
/** Not how long it may take, but when a busy machine is no excuse any more. */
const EXCHANGE_MS = 40_000;
const INITIATE_MS = 15_000;

const [folder = '.'] = process.argv.slice(2);

async function answer(job: Job, vici: ViciConnection): Promise<Answer> {
  switch (job.kind) {
    case 'initiate':
      return {
        faults: await inTurn(job.children, (child) =>
          initiate(vici, { child }, { tryForMs: INITIATE_MS, timeoutMs: INITIATE_MS + 5_000 }),
        ),
      };
    case 'rekey':
      return { faults: await inTurn(job.children, (child) => rekey(vici, { child })) };
    case 'terminate':
      return {
        faults: await inTurn([job.ike], (ike) =>
          terminate(vici, { ike }, { tryForMs: 5_000, timeoutMs: 10_000 }),
        ),
      };
    case 'exchange':
      return { faults: await sideBySide(job) };
    case 'list':
      return { children: await list(vici) };
  }
}

async function inTurn(names: readonly string[], act: (name: string) => Promise<unknown>): Promise<Faults> {
  const faults: (string | null)[] = [];
  for (const name of names) {
    faults.push(
      await act(name).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
    );
  }
  return faults;
}

async function sideBySide(job: Extract<Job, { kind: 'exchange' }>): Promise<Faults> {
  const { label, fileBytes, timeoutMs = EXCHANGE_MS, cells } = job;
  const faults: (string | null)[] = cells.map(() => null);
  const waiting = [...cells.entries()];
  const options = { fileBytes, timeoutMs };
  const line = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, ends] = next;
      faults[index] = (await exchange(ends, { ...options, label: `${label} ${ends.port}` })) ?? null;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  return faults;
}

async function list(vici: ViciConnection): Promise<ListedChild[]> {
  const children: ListedChild[] = [];
  const take = (event: ViciMessage) => {
    for (const [, ike] of event.sections()) {
      for (const [, child] of ike.section('child-sas')?.sections() ?? []) children.push(listed(ike, child));
    }
  };
  await vici.requestStream('list-sas', ['list-sa'], take);
  return children;
}

function listed(ike: ViciMessage, child: ViciMessage): ListedChild {
  const text = (name: string) => child.text(name) ?? '';
  const bits = child.text('encr-keysize');
  return {
    name: text('name'),
    state: text('state'),
    mode: text('mode').toLowerCase(),
    isUdp: text('encap') === 'yes',
    isEsn: text('esn') === '1',
    encryption: text('encr-alg'),
    keyBits: bits === undefined ? undefined : Number(bits),
    integrity: child.text('integ-alg'),
    spiIn: text('spi-in'),
    spiOut: text('spi-out'),
    packetsIn: Number(text('packets-in')),
    packetsOut: Number(text('packets-out')),
    localHost: ike.text('local-host') ?? '',
    remoteHost: ike.text('remote-host') ?? '',
  };
}

const vici = new ViciConnection(await connect(), { clock: systemClock });
const done = new Set<string>();
console.log('ready');
for (;;) {
  const next = readdirSync(folder)
    .filter((name) => name.endsWith('.job') && !done.has(name))
    .toSorted()[0];
  if (next === undefined) {
    await sleep(POLL_MS);
    continue;
  }
  done.add(next);
  const job = JSON.parse(readFileSync(`${folder}/${next}`, 'utf8')) as Job;
  const file = `${folder}/${next.replace('.job', '.answer')}`;
  writeFileSync(`${file}.next`, JSON.stringify(await answer(job, vici)));
  renameSync(`${file}.next`, file);
}
