import type { Clock, Timer } from '../../base/clock.ts';
import { Deadlines } from '../../base/deadlines.ts';
import { REKEY_RETRY_MS, RekeyNeed } from '../../ipsec/rekey-need.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { LogFields } from '../../observe/fields.ts';
import type { Log } from '../../observe/log.ts';
import {
  type ChildSa,
  expireSa,
  type IkeSa,
  listSas,
  type Requester,
  rekey,
  ViciError,
} from '../../vici/index.ts';
import { RekeyBook, type RekeyCause } from './rekey-book.ts';
import type { AnySa } from './routing-sas.ts';

/** Causes that no machine asks for again: they last as long as the SA does. */
const LASTING: ReadonlySet<RekeyCause> = new Set(['replay-undecided', 'windows-lost', 'target-removed']);

export interface SaNames {
  readonly ike: string;
  readonly child: string;
  /** The peer's identity, as charon authenticated it. */
  readonly peer: string;
}

interface Found {
  readonly ike: IkeSa;
  readonly child: ChildSa;
}

/** charon may still be busy with the exchange that made the SA. */
const LIST_TIMEOUT_MS = 5000;
const REFRESH_MS = 200;
/** Pause between lists, in multiples of what the last one took: with many SAs a list costs charon a lot. */
const REFRESH_PAUSES = 10;
const EXPIRE_RETRY_MS = 1000;

/**
 * Asks charon for rekeys (claim 14). charon's stock interface knows a CHILD_SA by its unique id, we know an SA by
 * its SPI: each request looks the id up, so it never names a wrong one. One list serves all requests that wait, and
 * they go out one after the other. Also keeps charon's names for people.
 */
export class Rekeyer {
  readonly #charon: Requester;
  readonly #plugin: Requester;
  readonly #log: Log;
  readonly #clock: Clock;
  /** By direction, SPI and reqid. */
  #names = new Map<string, SaNames>();
  readonly #wanted = new Map<AnySa, RekeyCause>();
  /** SAs that charon has not answered for, and who waits for that. */
  readonly #unanswered = new Map<AnySa, ((isTaken: boolean) => void)[]>();
  #isAsking = false;
  /** What could not be asked for because charon was not there: asked for as soon as it is. */
  readonly #missed = new Map<AnySa, RekeyCause>();
  /** Lasting needs, until their SA is gone. */
  readonly #lasting = new Map<AnySa, { readonly cause: RekeyCause; readonly need: RekeyNeed }>();
  readonly #repeats: Deadlines<AnySa>;
  readonly #expires: Deadlines<AnySa>;
  #refresh: Timer | undefined;
  #areNamesOld = false;
  #isClosed = false;
  requested = 0;
  readonly book = new RekeyBook();
  /** CHILD_SAs that charon was asked to rekey, by its number, and when: both directions of one may ask, in one turn. */
  readonly #askedChildren = new Map<number, number>();

  constructor(options: { charon: Requester; plugin: Requester; log: Log; clock: Clock }) {
    this.#charon = options.charon;
    this.#plugin = options.plugin;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#repeats = new Deadlines(options.clock, (entry, now) => this.#repeat(entry, now));
    this.#expires = new Deadlines(options.clock, (entry) => this.#tellExpire(entry));
  }

  namesOf(entry: AnySa): SaNames | undefined {
    return this.#names.get(nameOf(entry));
  }

  /**
   * Asks once; the machines that ask repeat it with back-off if charon does not finish. A lasting need (what was
   * delivered is not known) is repeated here, with the same back-off, until the SA is gone.
   */
  request(entry: AnySa, cause: RekeyCause): void {
    if (!LASTING.has(cause)) this.#ask(entry, cause);
    else if (!this.#lasting.has(entry)) {
      this.#lasting.set(entry, { cause, need: new RekeyNeed() });
      this.#repeat(entry, this.#clock.now());
    }
  }

  /** How the request that the SA waits with ends: true, charon has it, or has it already. True if none waits. */
  answered(entry: AnySa): Promise<boolean> {
    const waiting = this.#unanswered.get(entry);
    if (waiting === undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      waiting.push(resolve);
    });
  }

  /** The hard limit is used up: charon deletes the SA. Repeated until it was told. */
  expire(entry: AnySa): void {
    this.book.hardLimits++;
    this.#log.warn('hard limit reached, the SA expires', { ...fieldsOf(entry), event: 'hard-limit' });
    this.#tellExpire(entry);
  }

  /** charon's stock interface can be asked (again): the back-off of who has a need is for a charon that did not finish. */
  charonConnected(): void {
    for (const [entry, cause] of this.#missed) {
      if (isGone(entry) || this.#wanted.has(entry)) continue;
      entry.isRekeying = true;
      this.#wanted.set(entry, cause);
    }
    this.#missed.clear();
    if (!this.#isAsking) void this.#askAll();
  }

  /** Learns names anew; call it when SAs changed. Calls in quick succession are one. */
  refreshNames(): void {
    this.#areNamesOld = true;
    this.#armRefresh(REFRESH_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#refresh?.cancel();
    this.#repeats.close();
    this.#expires.close();
    this.#wanted.clear();
    this.#missed.clear();
    this.#lasting.clear();
    for (const entry of this.#unanswered.keys()) this.#answer(entry, false);
  }

  #repeat(entry: AnySa, now: number): void {
    const lasting = this.#lasting.get(entry);
    if (lasting === undefined) return;
    if (isGone(entry)) {
      this.#lasting.delete(entry);
      return;
    }
    if (lasting.need.raise(now)) this.#ask(entry, lasting.cause);
    this.#repeats.set(entry, lasting.need.nextAt);
  }

  #ask(entry: AnySa, cause: RekeyCause): void {
    entry.isRekeying = true;
    const asked = entry.rekeys.get(cause);
    const at = this.#clock.now();
    if (asked === undefined) entry.rekeys.set(cause, { at, isTaken: false, attempts: 1 });
    else {
      if (!asked.isTaken) asked.at = at;
      asked.attempts++;
      this.book.count(cause, 'repeated');
      const fields = { ...fieldsOf(entry), reason: cause, attempt: asked.attempts };
      this.#log.warn('a rekey did not finish, charon is asked again', { ...fields, event: 'rekey-repeated' });
    }
    if (!this.#wanted.has(entry)) this.#wanted.set(entry, cause);
    if (!this.#unanswered.has(entry)) this.#unanswered.set(entry, []);
    if (!this.#isAsking) void this.#askAll();
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    while (this.#wanted.size > 0 && !this.#isClosed) {
      const batch = [...this.#wanted];
      this.#wanted.clear();
      let found: ReadonlyMap<string, Found> | Error;
      try {
        found = await this.#list();
      } catch (error) {
        found = error instanceof Error ? error : new Error('charon does not list its SAs');
      }
      for (const [entry, cause] of batch) {
        const isTaken = !isGone(entry) && !this.#isClosed && (await this.#askFor(entry, cause, found));
        this.#answer(entry, isTaken);
        if (isGone(entry)) continue;
        entry.isRekeying = isTaken;
        const asked = entry.rekeys.get(cause);
        if (asked !== undefined && isTaken) asked.isTaken = true;
      }
    }
    this.#isAsking = false;
  }

  #answer(entry: AnySa, isTaken: boolean): void {
    const waiting = this.#unanswered.get(entry) ?? [];
    this.#unanswered.delete(entry);
    for (const resolve of waiting) resolve(isTaken);
  }

  /** False: charon was not asked. Never rejects. */
  async #askFor(
    entry: AnySa,
    cause: RekeyCause,
    found: ReadonlyMap<string, Found> | Error,
  ): Promise<boolean> {
    const { sa } = entry;
    const fields = { ...fieldsOf(entry), reqid: sa.reqid, reason: cause };
    try {
      if (found instanceof Error) throw found;
      const place = found.get(nameOf(entry));
      if (place === undefined) {
        this.#refused(cause, { ...fields, error: new Error('charon does not know the SA') });
        return false;
      }
      const { ike, child } = place;
      if (child.state !== 'INSTALLED' || this.#isAsked(child.uniqueId)) {
        // The other direction asked first, or the peer did: one rekey serves both.
        this.#log.debug('the SA is being rekeyed already', { ...fields, state: child.state });
        return true;
      }
      this.#askedChildren.set(child.uniqueId, this.#clock.now());
      await rekey(this.#charon, { childId: child.uniqueId });
      this.requested++;
      if (entry.rekeys.get(cause)?.attempts === 1) this.book.count(cause, 'needs');
      const { bytes, packets } = entry.lifesize.totals(this.#clock.now());
      const names = { ike: ike.name, child: child.name };
      this.#log.info('rekey requested', { ...fields, ...names, bytes, packets, event: 'rekey-requested' });
      return true;
    } catch (error) {
      if (error instanceof ViciError && error.code === 'disconnected') this.#missed.set(entry, cause);
      this.#refused(cause, { ...fields, error });
      return false;
    }
  }

  /** Not asked: the need stays, and comes again with the back-off of who has it. */
  #refused(cause: RekeyCause, fields: LogFields): void {
    this.book.count(cause, 'refused');
    this.#log.warn('a rekey could not be requested', { ...fields, event: 'rekey-refused' });
  }

  /** charon was asked for this CHILD_SA so lately that no back-off has passed: the other direction's need is the same. */
  #isAsked(child: number): boolean {
    const now = this.#clock.now();
    for (const [id, at] of this.#askedChildren) {
      if (now - at >= REKEY_RETRY_MS) this.#askedChildren.delete(id);
    }
    return this.#askedChildren.has(child);
  }

  #tellExpire(entry: AnySa): void {
    if (isGone(entry)) return;
    expireSa(this.#plugin, entry.pluginId, 'hard').catch((error: unknown) => {
      this.#log.error('charon was not told of the expire', { ...fieldsOf(entry), error });
      this.#expires.set(entry, this.#clock.now() + EXPIRE_RETRY_MS);
    });
  }

  #armRefresh(delayMs: number): void {
    if (this.#refresh !== undefined || this.#isClosed) return;
    this.#refresh = this.#clock.after(delayMs, () => void this.#refreshNow());
  }

  async #refreshNow(): Promise<void> {
    const began = this.#clock.now();
    this.#areNamesOld = false;
    try {
      await this.#list();
    } catch (error) {
      this.#log.debug('names of SAs are not known', { error });
    }
    this.#refresh = undefined;
    const tookMs = this.#clock.now() - began;
    if (this.#areNamesOld) this.#armRefresh(Math.max(REFRESH_MS, tookMs * REFRESH_PAUSES));
  }

  async #list(): Promise<ReadonlyMap<string, Found>> {
    const ikes = await listSas(this.#charon, {}, { timeoutMs: LIST_TIMEOUT_MS });
    const found = new Map<string, Found>();
    for (const ike of ikes) {
      for (const child of ike.children) {
        if (child.spiIn !== undefined) found.set(keyOf('in', child.spiIn, child.reqid), { ike, child });
        if (child.spiOut !== undefined) found.set(keyOf('out', child.spiOut, child.reqid), { ike, child });
      }
    }
    this.#names = new Map(
      Array.from(found, ([key, { ike, child }]) => [
        key,
        { ike: ike.name, child: child.name, peer: ike.remoteId ?? ike.remoteHost },
      ]),
    );
    return found;
  }
}

const keyOf = (direction: string, spi: number, reqid: number) => `${direction}/${spi}/${reqid}`;

function nameOf({ sa }: AnySa): string {
  return keyOf(sa.direction, sa.spi, sa.reqid);
}

/** It was removed: its keys are wiped then. */
function isGone({ sa }: AnySa): boolean {
  return sa.encryption.key.isWiped;
}

function fieldsOf({ sa }: AnySa) {
  return { sa: sa.id, spi: formatSpi(sa.spi), direction: sa.direction };
}
