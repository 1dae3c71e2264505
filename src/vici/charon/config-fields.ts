import type { ViciInput } from '../message.ts';

/**
 * Options of a configuration under the names of swanctl.conf: `remoteAddrs` becomes `remote_addrs`, `undefined` is left
 * out. For objects whose keys this library names; names that a user gave do not pass here.
 */
export function configFields(options: object): [string, ViciInput][] {
  return Object.entries(options as Record<string, ViciInput>).map(([key, value]) => [
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
}
