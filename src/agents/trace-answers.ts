import type { Trace } from '../dataplane/trace/trace-steps.ts';
import type { RoutingTrace } from '../dataplane/trace/routing-trace.ts';
import type { TargetTrace } from '../dataplane/trace/target-trace.ts';
import type { RoutingInboundSa } from '../dataplane/routing-sa.ts';
import type { AdminArguments } from '../io/admin-protocol.ts';
import type { TraceSnapshot } from '../observe/trace-snapshot.ts';
import { parseTraceRequest } from './trace-request.ts';

/** The admin command `trace` of a routing host. */
export function routingTraceAnswer<Sa extends RoutingInboundSa>(
  trace: RoutingTrace<Sa>,
  now: () => number,
  nameOf: (target: number) => string,
): (args: AdminArguments) => TraceSnapshot {
  return (args) => {
    const { packet, isOutbound } = parseTraceRequest(args);
    if (isOutbound) throw new Error('trace: outbound packets are traced on a target');
    return snapshot('route', 'inbound', trace.run(packet, now()), nameOf);
  };
}

/** The same of a target. */
export function targetTraceAnswer(
  trace: TargetTrace,
  now: () => number,
): (args: AdminArguments) => TraceSnapshot {
  return (args) => {
    const { packet, isOutbound } = parseTraceRequest(args);
    if (isOutbound) return snapshot('target', 'outbound', trace.outboundPacket(packet, now()));
    if (args['inClear'] === true) throw new Error('trace: what comes in clear is traced on the routing host');
    return snapshot('target', 'inbound', trace.inbound(packet));
  };
}

function snapshot(
  role: TraceSnapshot['role'],
  way: TraceSnapshot['way'],
  { steps, outcome }: Trace,
  nameOf: (target: number) => string = String,
): TraceSnapshot {
  if (outcome.kind !== 'dispatch') return { role, way, steps, outcome };
  return { role, way, steps, outcome: { kind: 'dispatch', target: nameOf(outcome.target) } };
}
