import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';
import { type IkeSa, parseIkeSa } from './sa-list.ts';

/** Typed commands of charon's stock socket. Each rejects with a ViciError only. */

export interface DaemonVersion {
  /** e.g. `charon-systemd`. */
  readonly daemon: string;
  /** strongSwan's, e.g. `5.9.8`. */
  readonly version: string;
  readonly sysname: string;
  readonly release: string;
  readonly machine: string;
}

export async function version(requester: Requester, options?: CallOptions): Promise<DaemonVersion> {
  const fields = new Fields(await requester.request('version', undefined, options), 'version');
  return {
    daemon: fields.text('daemon'),
    version: fields.text('version'),
    sysname: fields.text('sysname'),
    release: fields.text('release'),
    machine: fields.text('machine'),
  };
}

export interface DaemonStats {
  /** Worker threads. */
  readonly workers: { readonly total: number; readonly idle: number };
  readonly scheduledJobs: number;
  readonly ikeSas: { readonly total: number; readonly halfOpen: number };
  readonly plugins: readonly string[];
}

export async function stats(requester: Requester, options?: CallOptions): Promise<DaemonStats> {
  const fields = new Fields(await requester.request('stats', undefined, options), 'stats');
  const workers = fields.section('workers');
  const ikeSas = fields.section('ikesas');
  return {
    workers: { total: workers.number('total'), idle: workers.number('idle') },
    scheduledJobs: fields.number('scheduled'),
    ikeSas: { total: ikeSas.number('total'), halfOpen: ikeSas.number('half-open') },
    plugins: fields.message.list('plugins') ?? [],
  };
}

export interface ListSasFilter {
  /** IKE_SAs of this configuration only. */
  readonly ike?: string;
  readonly ikeId?: number;
  readonly child?: string;
  readonly childId?: number;
  /** Leave out IKE_SAs that charon is working on, instead of waiting for them. Default: wait. */
  readonly isNonBlocking?: boolean;
}

/** All IKE_SAs that charon has, with their CHILD_SAs. */
export async function listSas(
  requester: Requester,
  filter: ListSasFilter = {},
  options?: CallOptions,
): Promise<IkeSa[]> {
  const sas: IkeSa[] = [];
  const take = (event: ViciMessage) => {
    for (const [name, section] of event.sections()) sas.push(parseIkeSa(name, section));
  };
  const message = ViciMessage.of({
    ike: filter.ike,
    'ike-id': filter.ikeId,
    child: filter.child,
    'child-id': filter.childId,
    noblock: filter.isNonBlocking === true ? true : undefined,
  });
  await requester.requestStream('list-sas', ['list-sa'], take, message, options);
  return sas;
}

/** Which SAs are meant; by unique id is exact, a name means all of that configuration. */
export interface SaChoice {
  readonly child?: string;
  readonly childId?: number;
  readonly ike?: string;
  readonly ikeId?: number;
}

/** Asks for a rekey of the SAs chosen; it happens later. Resolves with how many they are. `refused` if none. */
export async function rekey(
  requester: Requester,
  choice: SaChoice & { /** IKE_SAs: authenticate anew. */ readonly reauth?: boolean },
  options?: CallOptions,
): Promise<number> {
  const message = choiceOf(choice, { reauth: choice.reauth === true ? true : undefined });
  return new Fields(await requester.request('rekey', message, options), 'rekey').number('matches');
}

export interface LongCommandOptions extends CallOptions {
  /**
   * How long charon may try, before it answers `refused`: milliseconds, -1 = answer at once (default), 0 = for
   * ever. While it tries, other commands of this connection wait. `timeoutMs` must be longer.
   */
  readonly tryForMs?: number;
}

/** Closes the SAs chosen. Resolves with how many were, or with `tryForMs: -1` how many will be. */
export async function terminate(
  requester: Requester,
  choice: SaChoice & { /** IKE_SAs: do not wait for the peer. */ readonly force?: boolean },
  options: LongCommandOptions = {},
): Promise<number> {
  const message = choiceOf(choice, {
    timeout: options.tryForMs ?? -1,
    force: choice.force === true ? true : undefined,
  });
  return new Fields(await requester.request('terminate', message, options), 'terminate').number('matches');
}

/** Brings up a CHILD_SA of the configuration (`child`, in `ike` if given), or an IKE_SA alone (`ike`). */
export async function initiate(
  requester: Requester,
  choice: { readonly child?: string; readonly ike?: string },
  options: LongCommandOptions = {},
): Promise<void> {
  const { child, ike } = choice;
  await requester.request(
    'initiate',
    ViciMessage.of({ child, ike, timeout: options.tryForMs ?? -1 }),
    options,
  );
}

function choiceOf(
  choice: SaChoice,
  more: { readonly [key: string]: number | boolean | undefined },
): ViciMessage {
  return ViciMessage.of({
    child: choice.child,
    'child-id': choice.childId,
    ike: choice.ike,
    'ike-id': choice.ikeId,
    ...more,
  });
}
