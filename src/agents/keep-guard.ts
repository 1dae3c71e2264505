import { RuleChanges } from '../io/rule-changes.ts';
import type { Log } from '../observe/log.ts';
import { type Guard, GuardKeeper } from './guard-keeper.ts';
import type { StopList } from './running-agent.ts';

/** A keeper that looks when the kernel has told of a change; where it does not tell, with each look. */
export function keepGuard(guard: Guard, log: Log, stops: StopList): GuardKeeper {
  try {
    const changes = RuleChanges.open();
    stops.add(() => changes.close());
    return new GuardKeeper(guard, changes, log);
  } catch (error) {
    log.warn('the kernel does not tell of changed rules, the guard is looked at all the time', { error });
    return new GuardKeeper(guard, undefined, log);
  }
}
