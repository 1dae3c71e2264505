import { createHash } from 'node:crypto';
import { systemClock } from '../../../src/base/clock.ts';
import { connect, listPlugin, ViciConnection, wipePluginSa } from '../../../src/vici/index.ts';

/** Run in a guest, whose sockets are its own: says what the plugin knows, with a hash in place of each key. */
const stream = await connect('unix:///run/charon.dvipa');
const connection = new ViciConnection(stream, { clock: systemClock });
const wrong: string[] = [];
const { sas, policies } = await listPlugin(connection, (error) => wrong.push(error.message));
const listed: PluginListing = {
  wrong,
  sas: sas.map((sa) => ({
    spi: sa.spi.toString(16).padStart(8, '0'),
    direction: sa.direction,
    dvipa: sa.dvipa,
    peer: sa.direction === 'in' ? sa.source : sa.destination,
    keySha256: createHash('sha256').update(sa.encryptionKey.reveal()).digest('hex'),
  })),
  policies: policies.map(({ direction, spi }) => ({ direction, hasSa: spi !== undefined })),
};
for (const sa of sas) wipePluginSa(sa);
console.log(JSON.stringify(listed));
connection.close();

export interface PluginListing {
  readonly wrong: readonly string[];
  readonly sas: readonly {
    readonly spi: string;
    readonly direction: 'in' | 'out';
    readonly dvipa: string;
    readonly peer: string;
    readonly keySha256: string;
  }[];
  readonly policies: readonly { readonly direction: string; readonly hasSa: boolean }[];
}
