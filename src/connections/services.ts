import { AddressMap } from '../packet/address-map.ts';
import type { IpAddress } from '../packet/address.ts';
import { HASH_SEED_BYTES, type ConnectionKey } from './connection-key.ts';
import { listenerKey } from './listeners.ts';
import { DistributedService, MaglevTables, type ServiceSettings } from './service.ts';
import type { SourcePorts } from './port-leases.ts';
import { NO_TARGETS, type TargetMask } from './target-mask.ts';

/** One port that is distributed in its own way. */
export interface PortServiceSettings extends ServiceSettings {
  /** 6 TCP, 17 UDP. */
  readonly protocol: number;
  readonly port: number;
}

/** A DVIPA: what holds for all of it, and the ports that are distributed in their own ways. */
export interface DvipaSettings extends ServiceSettings {
  /** From where targets open connections; undefined: no port is any target's. */
  readonly sourcePorts?: SourcePorts;
  /** Whose block of them is which: indexes by number of the block. Undefined: each target's own index. */
  readonly lessees?: readonly (number | undefined)[];
  readonly services?: readonly PortServiceSettings[];
}

interface Dvipa {
  /** All that is not a service of its own; its targets are the DVIPA's. */
  readonly whole: DistributedService;
  readonly byPort: ReadonlyMap<number, DistributedService>;
}

/** Which service a connection is of: its port's, if that has one, or its DVIPA's. */
export class Services {
  readonly #dvipas = new AddressMap<Dvipa>();
  readonly #tables: MaglevTables;
  readonly #seed: Uint8Array;

  constructor(seed: Uint8Array) {
    this.#seed = seed.slice(0, HASH_SEED_BYTES);
    this.#tables = new MaglevTables(seed);
  }

  /**
   * The services of a DVIPA from now on. One whose settings are as they were goes on; one with others begins anew, and knows the
   * clients that the one before knew if it keeps them in the same way. False: nothing is different.
   */
  set(address: IpAddress, settings: DvipaSettings): boolean {
    const known = this.#dvipas.get(address);
    const { services = [], sourcePorts: _ports, lessees: _lessees, ...own } = settings;
    const whole = this.#serviceOf(known?.whole, own);
    const byPort = new Map(
      services.map((each) => {
        const { protocol, port, ...own } = each;
        const key = listenerKey(protocol, port);
        return [key, this.#serviceOf(known?.byPort.get(key), own)];
      }),
    );
    this.#dvipas.set(address, { whole, byPort });
    if (known === undefined || known.whole !== whole || known.byPort.size !== byPort.size) return true;
    return [...byPort].some(([key, service]) => known.byPort.get(key) !== service);
  }

  remove(address: IpAddress): void {
    this.#dvipas.delete(address);
  }

  /** The service of the connection; undefined: the address is no DVIPA. Allocates nothing. */
  find({ dvipa, protocol, destinationPort }: Readonly<ConnectionKey>): DistributedService | undefined {
    const known = this.#dvipas.get(dvipa);
    if (known === undefined || known.byPort.size === 0) return known?.whole;
    return known.byPort.get(listenerKey(protocol, destinationPort)) ?? known.whole;
  }

  /** Its port has a service of its own. */
  hasOwn({ dvipa, protocol, destinationPort }: Readonly<ConnectionKey>): boolean {
    return this.#dvipas.get(dvipa)?.byPort.has(listenerKey(protocol, destinationPort)) === true;
  }

  dvipas(): IterableIterator<IpAddress> {
    return this.#dvipas.keys();
  }

  /** All services of a DVIPA. */
  *of(address: IpAddress): Generator<DistributedService> {
    const known = this.#dvipas.get(address);
    if (known === undefined) return;
    yield known.whole;
    yield* known.byPort.values();
  }

  *all(): Generator<DistributedService> {
    for (const address of this.#dvipas.keys()) yield* this.of(address);
  }

  /** Targets that get new connections of the DVIPA, whatever their ports. */
  availableOf(address: IpAddress): TargetMask {
    return this.#dvipas.get(address)?.whole.available ?? NO_TARGETS;
  }

  #serviceOf(known: DistributedService | undefined, settings: ServiceSettings): DistributedService {
    if (known?.hasSettings(settings) === true) return known;
    return new DistributedService(this.#seed, this.#tables, settings, known);
  }
}
