/** What a driver of the trusted link does: packets and system calls since it was opened. */
export interface LinkStats {
  readonly driver: 'batch' | 'dgram';
  /** Offloads that are in use now. */
  readonly gso: boolean;
  readonly gro: boolean;
  readonly sent: number;
  readonly sendCalls: number;
  readonly received: number;
  readonly receiveCalls: number;
}
