import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';
import { type ConnectionConfig, connectionSection } from './connection-config.ts';

/** Connections that charon has from VICI; `listConnections` has those from elsewhere too. */

/**
 * Loads a connection, or replaces the one of this name: SAs that are up stay, and policies and SAs follow the
 * `startAction` of its children. `refused` says which option charon does not like.
 */
export async function loadConnection(
  requester: Requester,
  name: string,
  connection: ConnectionConfig,
  options?: CallOptions,
): Promise<void> {
  const message = ViciMessage.of([[name, connectionSection(connection)]]);
  await requester.request('load-conn', message, options);
}

/** Forgets a connection and takes down what its `startAction` brought up. `refused` if it is not there. */
export async function unloadConnection(
  requester: Requester,
  name: string,
  options?: CallOptions,
): Promise<void> {
  await requester.request('unload-conn', ViciMessage.of({ name }), options);
}

/** Names of the connections that were loaded over VICI. */
export async function getConnections(requester: Requester, options?: CallOptions): Promise<string[]> {
  return new Fields(await requester.request('get-conns', undefined, options), 'get-conns').list('conns');
}
