import type { Clock } from '../../base/clock.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import { type ChildSa, expireSa, type IkeSa, listSas, type Requester, rekey } from '../../vici/index.ts';
import type { AnySa } from './routing-sas.ts';

export type RekeyCause =
  | 'bytes'
  | 'packets'
  | 'numbers'
  | 'sender-ids'
  | 'marks-lost'
  | 'replay-undecided'
  | 'windows-lost';

export interface SaNames {
  readonly ike: string;
  readonly child: string;
}

/** charon may still be busy with the exchange that made the SA. */
const LIST_TIMEOUT_MS = 5000;

/**
 * Asks charon for rekeys (claim 14). charon's stock interface knows a CHILD_SA by its unique id, we know an SA by
 * its SPI: each request looks the id up, so it never names a wrong one. Also keeps charon's names for people.
 */
export class Rekeyer {
  readonly #charon: Requester;
  readonly #plugin: Requester;
  readonly #log: Log;
  readonly #clock: Clock;
  /** By direction and SPI. */
  readonly #names = new Map<string, SaNames>();
  #isRefreshing = false;
  requested = 0;

  constructor(options: { charon: Requester; plugin: Requester; log: Log; clock: Clock }) {
    this.#charon = options.charon;
    this.#plugin = options.plugin;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  namesOf({ sa }: AnySa): SaNames | undefined {
    return this.#names.get(`${sa.direction}/${sa.spi}/${sa.reqid}`);
  }

  /** One request; the machines that ask repeat it with back-off if charon does not finish. */
  request(entry: AnySa, cause: RekeyCause): void {
    entry.isRekeying = true;
    void this.#request(entry, cause);
  }

  /** The hard limit is used up: charon deletes the SA. */
  expire(entry: AnySa): void {
    const fields = { sa: entry.sa.id, spi: formatSpi(entry.sa.spi), direction: entry.sa.direction };
    this.#log.warn('hard limit reached, the SA expires', fields);
    expireSa(this.#plugin, entry.pluginId, 'hard').catch((error: unknown) => {
      this.#log.error('charon was not told of the expire', { ...fields, error });
    });
  }

  /** Learns names anew; call it when SAs changed. Calls in quick succession are one. */
  refreshNames(): void {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#clock.after(200, () => {
      this.#isRefreshing = false;
      this.#list().catch((error: unknown) => this.#log.debug('names of SAs are not known', { error }));
    });
  }

  async #request(entry: AnySa, cause: RekeyCause): Promise<void> {
    const { sa } = entry;
    const fields = {
      sa: sa.id,
      spi: formatSpi(sa.spi),
      direction: sa.direction,
      reqid: sa.reqid,
      reason: cause,
    };
    try {
      const found = findChild(await this.#list(), entry);
      if (found === undefined) {
        this.#log.warn('charon does not know the SA that needs a rekey', fields);
        return;
      }
      const { ike, child } = found;
      if (child.state !== 'INSTALLED') {
        // The other direction asked first, or the peer did: one rekey serves both.
        this.#log.debug('the SA is being rekeyed already', { ...fields, state: child.state });
        return;
      }
      await rekey(this.#charon, { childId: child.uniqueId });
      this.requested++;
      const totals = entry.lifesize.totals(this.#clock.now());
      this.#log.info('rekey requested', {
        ...fields,
        ike: ike.name,
        child: child.name,
        bytes: totals.bytes,
        packets: totals.packets,
      });
    } catch (error) {
      this.#log.warn('rekey could not be requested', { ...fields, error });
    }
  }

  async #list(): Promise<IkeSa[]> {
    const ikes = await listSas(this.#charon, {}, { timeoutMs: LIST_TIMEOUT_MS });
    this.#names.clear();
    for (const ike of ikes) {
      for (const child of ike.children) {
        const names = { ike: ike.name, child: child.name };
        if (child.spiIn !== undefined) this.#names.set(`in/${child.spiIn}/${child.reqid}`, names);
        if (child.spiOut !== undefined) this.#names.set(`out/${child.spiOut}/${child.reqid}`, names);
      }
    }
    return ikes;
  }
}

function findChild(ikes: readonly IkeSa[], { sa }: AnySa): { ike: IkeSa; child: ChildSa } | undefined {
  for (const ike of ikes) {
    const child = ike.children.find(
      ({ spiIn, spiOut, reqid }) => reqid === sa.reqid && (sa.direction === 'in' ? spiIn : spiOut) === sa.spi,
    );
    if (child !== undefined) return { ike, child };
  }
  return undefined;
}
