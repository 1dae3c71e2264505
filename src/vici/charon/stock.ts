import type { Requester } from '../connection.ts';
import { subscribeAlerts } from './alerts.ts';
import { getAlgorithms } from './algorithms.ts';
import { getAuthorities, listAuthorities, loadAuthority, unloadAuthority } from './authorities.ts';
import { flushCertificates, listCertificates, loadCertificate } from './certificates.ts';
import { listConnections } from './connection-list.ts';
import { getConnections, loadConnection, unloadConnection } from './connections.ts';
import { initiate, install, redirect, rekey, terminate, uninstall } from './control.ts';
import { subscribeLog } from './control-log.ts';
import { getCounters, resetCounters } from './counters.ts';
import {
  clearCredentials,
  getKeys,
  getShared,
  loadKey,
  loadShared,
  loadToken,
  unloadKey,
  unloadShared,
} from './credentials.ts';
import { reloadSettings, stats, version } from './daemon.ts';
import { subscribeIkeUpdates } from './ike-update.ts';
import { listPolicies } from './policies.ts';
import { getPools, loadPool, unloadPool } from './pools.ts';
import { subscribeSaEvents } from './sa-events.ts';
import { listSas } from './sas.ts';

/** Every command of charon's stock socket, strongSwan 5.9 and 6.0, under its name on the wire, with its function. */
export const STOCK_COMMANDS = {
  version,
  stats,
  'reload-settings': reloadSettings,
  initiate,
  terminate,
  rekey,
  redirect,
  install,
  uninstall,
  'list-sas': listSas,
  'list-policies': listPolicies,
  'list-conns': listConnections,
  'get-conns': getConnections,
  'list-certs': listCertificates,
  'list-authorities': listAuthorities,
  'get-authorities': getAuthorities,
  'load-conn': loadConnection,
  'unload-conn': unloadConnection,
  'load-cert': loadCertificate,
  'load-key': loadKey,
  'unload-key': unloadKey,
  'get-keys': getKeys,
  'load-token': loadToken,
  'load-shared': loadShared,
  'unload-shared': unloadShared,
  'get-shared': getShared,
  'flush-certs': flushCertificates,
  'clear-creds': clearCredentials,
  'load-authority': loadAuthority,
  'unload-authority': unloadAuthority,
  'load-pool': loadPool,
  'unload-pool': unloadPool,
  'get-pools': getPools,
  'get-algorithms': getAlgorithms,
  'get-counters': getCounters,
  'reset-counters': resetCounters,
} as const satisfies Record<string, (requester: Requester, ...rest: never[]) => Promise<unknown>>;

/** Every event that it has, with the function that brings it. */
export const STOCK_EVENTS = {
  log: subscribeLog,
  'control-log': initiate,
  'list-sa': listSas,
  'list-policy': listPolicies,
  'list-conn': listConnections,
  'list-cert': listCertificates,
  'list-authority': listAuthorities,
  'ike-updown': subscribeSaEvents,
  'ike-rekey': subscribeSaEvents,
  /** From 5.9.2 on. */
  'ike-update': subscribeIkeUpdates,
  'child-updown': subscribeSaEvents,
  'child-rekey': subscribeSaEvents,
  /** From 6.0.3 on. */
  alert: subscribeAlerts,
} as const;
