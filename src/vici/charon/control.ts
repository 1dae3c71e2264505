import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { type ViciFields, ViciMessage } from '../message.ts';
import { type LogLine, parseLogLine } from './control-log.ts';

/** Commands that bring SAs and policies up and down. Each rejects with a ViciError only. */

/** Which SAs are meant; by unique id is exact, a name means all of that configuration. */
export interface SaChoice {
  readonly child?: string;
  readonly childId?: number;
  readonly ike?: string;
  readonly ikeId?: number;
}

export interface LongCommandOptions extends CallOptions {
  /**
   * How long charon may try, before it answers `refused`: milliseconds, -1 = answer at once (default), 0 = for
   * ever. While it tries, other commands of this connection wait. `timeoutMs` must be longer.
   */
  readonly tryForMs?: number;
  /** What charon logs on behalf of this command (`control-log`), while it tries: nothing with `tryForMs: -1`. */
  readonly onLog?: (line: LogLine) => void;
  /** Up to which level, 0 to 4; 4 has secrets. Default 1. */
  readonly logLevel?: number;
}

/** Brings up a CHILD_SA of the configuration (`child`, in `ike` if given), or an IKE_SA alone (`ike`). */
export async function initiate(
  requester: Requester,
  choice: {
    readonly child?: string;
    readonly ike?: string;
    /** `refused` where charon's limits on half-open IKE_SAs and on load are reached. Default: they do not count. */
    readonly withLimits?: boolean;
  },
  options: LongCommandOptions = {},
): Promise<void> {
  const { child, ike, withLimits } = choice;
  await longRequest(requester, 'initiate', { child, ike, 'init-limits': whenTrue(withLimits) }, options);
}

/** Closes the SAs chosen. Resolves with how many were, or with `tryForMs: -1` how many will be. */
export async function terminate(
  requester: Requester,
  choice: SaChoice & { /** IKE_SAs: do not wait for the peer. */ readonly force?: boolean },
  options: LongCommandOptions = {},
): Promise<number> {
  const request = { ...choiceOf(choice), force: whenTrue(choice.force) };
  return matchesOf(await longRequest(requester, 'terminate', request, options), 'terminate');
}

/** Asks for a rekey of the SAs chosen; it happens later. Resolves with how many they are. `refused` if none. */
export async function rekey(
  requester: Requester,
  choice: SaChoice & { /** IKE_SAs: authenticate anew. */ readonly reauth?: boolean },
  options?: CallOptions,
): Promise<number> {
  const request = { ...choiceOf(choice), reauth: whenTrue(choice.reauth) };
  return matchesOf(await requester.request('rekey', ViciMessage.of(request), options), 'rekey');
}

/**
 * Sends peers elsewhere (RFC 5685): IKEv2 clients that said they support it. At least one of the choices must be
 * given, and an IKE_SA must meet all that are. Resolves with how many they are. `refused` if none.
 */
export async function redirect(
  requester: Requester,
  choice: {
    readonly ike?: string;
    readonly ikeId?: number;
    /** Address, subnet or range `from-to` of the peer. */
    readonly peerIp?: string;
    /** Identity of the peer, may have wildcards. */
    readonly peerId?: string;
  },
  /** Address or name of the gateway to go to. */
  gateway: string,
  options?: CallOptions,
): Promise<number> {
  const { ike, ikeId, peerIp, peerId } = choice;
  const request = ViciMessage.of({ ike, 'ike-id': ikeId, 'peer-ip': peerIp, 'peer-id': peerId, gateway });
  return matchesOf(await requester.request('redirect', request, options), 'redirect');
}

/** Which CHILD_SA configuration is meant: the first of the name if `ike` is not given. */
export interface ChildConfigChoice {
  readonly child: string;
  readonly ike?: string;
}

/** Installs the trap, pass or drop policies of a CHILD_SA configuration. */
export async function install(
  requester: Requester,
  { child, ike }: ChildConfigChoice,
  options?: CallOptions,
): Promise<void> {
  await requester.request('install', ViciMessage.of({ child, ike }), options);
}

/** Takes away what `install` installed. `refused` if there is nothing. */
export async function uninstall(
  requester: Requester,
  { child, ike }: ChildConfigChoice,
  options?: CallOptions,
): Promise<void> {
  await requester.request('uninstall', ViciMessage.of({ child, ike }), options);
}

function longRequest(
  requester: Requester,
  command: string,
  request: ViciFields,
  options: LongCommandOptions,
): Promise<ViciMessage> {
  const { tryForMs = -1, logLevel: loglevel, onLog } = options;
  const message = ViciMessage.of({ ...request, timeout: tryForMs, loglevel });
  if (onLog === undefined) return requester.request(command, message, options);
  const take = (event: ViciMessage) => onLog(parseLogLine(event));
  return requester.requestStream(command, ['control-log'], take, message, options);
}

function choiceOf(choice: SaChoice): ViciFields {
  const { child, childId, ike, ikeId } = choice;
  return { child, 'child-id': childId, ike, 'ike-id': ikeId };
}

/** charon takes some flags as set if the key is there at all. */
function whenTrue(flag: boolean | undefined): true | undefined {
  return flag === true ? true : undefined;
}

function matchesOf(reply: ViciMessage, command: string): number {
  return new Fields(reply, command).number('matches');
}
