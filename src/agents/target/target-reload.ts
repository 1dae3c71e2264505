import type { TargetConfig } from '../../config/index.ts';
import type { SessionTimes } from '../../coupling/session.ts';
import type { ListeningSockets } from '../../io/listening-sockets.ts';
import type { TargetGuard } from '../../io/target-guard.ts';
import type { TlsCredentials } from '../../io/tls-options.ts';
import { checkFiles, sessionTimes } from '../coupling-files.ts';
import type { Checked, Reloadable } from '../reload.ts';
import type { KernelSourcePorts } from './source-ports.ts';
import type { TargetHost } from './target-host.ts';

export interface TargetReloadOptions {
  readonly config: TargetConfig;
  readonly tls: TlsCredentials;
  readonly guard: Pick<TargetGuard, 'change' | 'addAddresses'>;
  readonly listening: Pick<ListeningSockets, 'setDvipas' | 'look'>;
  readonly sourcePorts: Pick<KernelSourcePorts, 'manage'>;
  readonly host: Pick<TargetHost, 'refusals' | 'configure'>;
  readonly client: { configure(tls: TlsCredentials, times: SessionTimes): void };
}

/** A running target takes another configuration. */
export class TargetReload implements Reloadable<TargetConfig> {
  readonly #options: TargetReloadOptions;
  #dvipas: readonly string[];
  #tls: TlsCredentials;
  #checkedTls: TlsCredentials;

  constructor(options: TargetReloadOptions) {
    this.#options = options;
    this.#dvipas = options.config.dvipas;
    this.#tls = options.tls;
    this.#checkedTls = options.tls;
  }

  async check({ coupling, dvipas }: TargetConfig): Promise<Checked> {
    const { refused, changes, credentials } = await checkFiles(coupling, this.#tls);
    if (credentials !== undefined) this.#checkedTls = credentials;
    return { refused: [...refused, ...this.#options.host.refusals(dvipas)], changes };
  }

  async apply({ dvipas, sourcePorts, coupling }: TargetConfig): Promise<void> {
    const before = this.#dvipas;
    if (dvipas.toSorted().join() !== before.toSorted().join()) {
      try {
        await this.#serve(dvipas);
      } catch (error) {
        await this.#serve(before);
        throw error;
      }
      this.#dvipas = dvipas;
    }
    this.#tls = this.#checkedTls;
    this.#options.client.configure(this.#tls, sessionTimes(coupling));
    await this.#options.sourcePorts.manage(sourcePorts.manage);
  }

  /** In the order of a start: guard, what listens, the routing host, and last the address. */
  async #serve(dvipas: readonly string[]): Promise<void> {
    const { guard, listening, host } = this.#options;
    await guard.change(dvipas);
    listening.setDvipas(dvipas);
    await listening.look(true); // the first report is true
    host.configure(dvipas);
    await guard.addAddresses();
  }
}
