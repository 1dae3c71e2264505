import type { RouteConfig } from '../../config/index.ts';
import type { Capture, FilterMaker } from '../../io/capture.ts';
import type { RouterGuard } from '../../io/router-guard.ts';
import { captureFilter } from '../../io/bpf.ts';
import type { TlsCredentials } from '../../io/tls-options.ts';
import type { Log } from '../../observe/log.ts';
import type { CouplingStore } from '../../store/store.ts';
import { checkFiles } from '../coupling-files.ts';
import { type Checked, refuse, type Reloadable } from '../reload.ts';
import { addressOf } from '../sa-settings.ts';
import type { CharonLink, PluginAddresses } from './charon-link.ts';
import type { Reconfiguration } from './reconfiguration.ts';

export interface RoutingReloadOptions {
  readonly log: Log;
  readonly config: RouteConfig;
  readonly tls: TlsCredentials;
  readonly guard: Pick<RouterGuard, 'change'>;
  readonly capture: Pick<Capture, 'setFilter'>;
  readonly charon: Pick<CharonLink, 'addresses' | 'setDvipas'>;
  readonly store: CouplingStore;
  readonly reconfiguration: Pick<Reconfiguration, 'refusals' | 'apply'>;
  /** What of it neither of these is about. Must not fail. */
  readonly changed: (config: RouteConfig, tls: TlsCredentials) => void;
}

/** Addresses that packets come for, and where the guard lets answers in clear out. */
interface Scope {
  readonly dvipas: readonly string[];
  readonly endpoints: readonly string[];
  readonly clear: readonly string[];
}

/** A running routing host takes another configuration. */
export class RoutingReload implements Reloadable<RouteConfig> {
  readonly #options: RoutingReloadOptions;
  #scope: Scope;
  #tls: TlsCredentials;
  #checkedTls: TlsCredentials;

  constructor(options: RoutingReloadOptions) {
    this.#options = options;
    this.#scope = scopeOf(options.config);
    this.#tls = options.tls;
    this.#checkedTls = options.tls;
  }

  async check(after: RouteConfig, isDryRun: boolean): Promise<Checked> {
    const files = await checkFiles(after.coupling, this.#tls);
    const charon = await this.#checkCharon(after, isDryRun);
    if (files.credentials !== undefined) this.#checkedTls = files.credentials;
    return {
      refused: [...files.refused, ...this.#options.reconfiguration.refusals(after), ...charon.refused],
      changes: files.changes,
      warnings: charon.warnings ?? [],
    };
  }

  /** What is new is guarded and captured before a packet of it is served, what is gone until none is. */
  async apply(after: RouteConfig): Promise<void> {
    const { reconfiguration, changed } = this.#options;
    const [before, wanted] = [this.#scope, scopeOf(after)];
    await this.#open(union(before, wanted), before);
    try {
      await this.#own(wanted);
      refuse(reconfiguration.refusals(after)); // once more: charon may have made SAs since
    } catch (error) {
      await this.#open(before, before);
      throw error;
    }
    // ---- from here on nothing is refused, and up to the first wait it is one step for packets ----
    this.#scope = wanted;
    this.#tls = this.#checkedTls;
    changed(after, this.#tls);
    await reconfiguration.apply(after);
    await this.#open(wanted, union(before, wanted)).catch((error: unknown) =>
      this.#options.log.error('addresses that are gone are still guarded and captured', { error }),
    );
  }

  #own({ dvipas }: Scope): Promise<void> {
    const { charon, store } = this.#options;
    return charon.setDvipas(store, dvipas);
  }

  /** Both or none: packets of addresses that are captured never reach the host's own stack. */
  async #open(scope: Scope, before: Scope): Promise<void> {
    const { guard, capture } = this.#options;
    await guard.change(scope);
    try {
      capture.setFilter(filterOf(scope));
    } catch (error) {
      await guard.change(before);
      throw error;
    }
  }

  /**
   * charon makes SAs of addresses that its plugin knows, and of no others. Asked where a configuration has other addresses than
   * this host has now; a dry run does not let charon read its settings, so it cannot know.
   */
  async #checkCharon(after: RouteConfig, isDryRun: boolean): Promise<Checked> {
    const wanted = scopeOf(after);
    const isSame = (['dvipas', 'endpoints'] as const).every(
      (name) => wanted[name].toSorted().join() === this.#scope[name].toSorted().join(),
    );
    if (isSame) return { refused: [] };
    let known: PluginAddresses;
    try {
      known = await this.#options.charon.addresses(!isDryRun);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { refused: [`dvipas: charon does not say which addresses its plugin serves: ${why}`] };
    }
    const missing = [
      ...wanted.dvipas.filter((each) => !known.dvipas.includes(each)).map((each) => `dvipas: ${each} is`),
      ...wanted.endpoints
        .filter((each) => !known.endpoints.includes(each) && !known.dvipas.includes(each))
        .map((each) => `endpoint: ${each} is`),
    ].map(
      (each) =>
        `${each} not in the settings of charon's plugin, expected it in kernel-dvipa.conf (dvipas, endpoints)`,
    );
    const left = known.dvipas.filter((each) => !wanted.dvipas.includes(each));
    const warnings = left.map(
      (each) =>
        `${each} is still in the settings of charon's plugin (kernel-dvipa.conf): nobody serves its SAs`,
    );
    return isDryRun ? { refused: [], warnings: [...missing, ...warnings] } : { refused: missing, warnings };
  }
}

export function scopeOf({ dvipas }: RouteConfig): Scope {
  const answering = dvipas.filter(
    ({ clearText, returnVia }) => clearText === 'distribute' && returnVia === 'router',
  );
  return {
    dvipas: dvipas.map(({ address }) => address),
    endpoints: [...new Set(dvipas.flatMap((dvipa) => dvipa.endpoints))],
    clear: answering.map(({ address }) => address),
  };
}

export function filterOf({ dvipas, endpoints }: Pick<Scope, 'dvipas' | 'endpoints'>): FilterMaker {
  const scope = { dvipas: dvipas.map(addressOf), endpoints: endpoints.map(addressOf) };
  return (linkHeaderBytes) => captureFilter(scope, linkHeaderBytes);
}

function union(a: Scope, b: Scope): Scope {
  const both = (name: keyof Scope) => [...new Set([...a[name], ...b[name]])];
  return { dvipas: both('dvipas'), endpoints: both('endpoints'), clear: both('clear') };
}
