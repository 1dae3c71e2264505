import type { SaId } from '../ipsec/sa.ts';
import type { TargetEvent } from './records.ts';

/** Names of one sort, and which of them the running snapshot has named. */
class Names<N extends string> {
  readonly #known = new Set<N>();
  /** Only while a snapshot runs. */
  #named: Set<N> | undefined;

  add(name: N): void {
    this.#known.add(name);
    this.#named?.add(name);
  }

  remove(name: N): void {
    this.#known.delete(name);
  }

  begin(): void {
    this.#named = new Set();
  }

  /** What is known and was not named since `begin`; it is forgotten here. */
  takeUnnamed(): N[] {
    const named = this.#named;
    this.#named = undefined;
    if (named === undefined) return [];
    const unnamed = [...this.#known].filter((name) => !named.has(name));
    for (const name of unnamed) this.#known.delete(name);
    return unnamed;
  }
}

/**
 * What a target was given, by name, over its sessions: so that the end of a snapshot can say what is to be
 * removed. Removals for something that the agent has dropped itself are harmless.
 */
export class SnapshotInventory {
  readonly #sas = new Names<SaId>();
  readonly #policies = new Names<string>();
  readonly #dvipas = new Names<string>();
  #isInSnapshot = false;

  /** The events to handle for one that came: itself, and before a snapshot's end the removals. */
  apply(event: TargetEvent): readonly TargetEvent[] {
    switch (event.kind) {
      case 'snapshot-begin':
        this.#isInSnapshot = true;
        for (const names of [this.#sas, this.#policies, this.#dvipas]) names.begin();
        return [event];
      case 'snapshot-end':
        return [...this.#removals(), event];
      case 'sa-install':
        this.#sas.add(event.body.sa.id);
        return [event];
      case 'sa-remove':
        this.#sas.remove(event.body.id);
        return [event];
      case 'policy-install':
        this.#policies.add(event.body.policy.key);
        return [event];
      case 'policy-remove':
        this.#policies.remove(event.body.key);
        return [event];
      case 'dvipa':
        this.#dvipas.add(event.body.address);
        return [event];
      case 'dvipa-remove':
        this.#dvipas.remove(event.body.address);
        return [event];
      default:
        return [event];
    }
  }

  /** A session that broke off inside a snapshot removes nothing. */
  reset(): void {
    this.#isInSnapshot = false;
  }

  #removals(): TargetEvent[] {
    if (!this.#isInSnapshot) return [];
    this.#isInSnapshot = false;
    return [
      ...this.#policies.takeUnnamed().map((key): TargetEvent => ({ kind: 'policy-remove', body: { key } })),
      ...this.#sas.takeUnnamed().map((id): TargetEvent => ({ kind: 'sa-remove', body: { id } })),
      ...this.#dvipas
        .takeUnnamed()
        .map((address): TargetEvent => ({ kind: 'dvipa-remove', body: { address } })),
    ];
  }
}
