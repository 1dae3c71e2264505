import type { Command } from 'commander';
import { agentCommand } from './start-agent.ts';

export function routeCommand(): Command {
  return agentCommand('route', 'run the agent of a routing host', async () => {
    // @ts-ignore -- until the agents are composed
    return (await import('../agents/routing-agent.ts')).startRoutingAgent;
  });
}
