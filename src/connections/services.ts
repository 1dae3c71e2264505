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

  /** Twice keeps what is there. */
  add(address: IpAddress, { services = [], ...whole }: DvipaSettings): void {
    if (this.#dvipas.has(address)) return;
    const serviceOf = (settings: ServiceSettings) =>
      new DistributedService(this.#seed, this.#tables, settings);
    this.#dvipas.set(address, {
      whole: serviceOf(whole),
      byPort: new Map(services.map((each) => [listenerKey(each.protocol, each.port), serviceOf(each)])),
    });
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
}
