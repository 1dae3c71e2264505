/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#ifndef PACKET_IO_UDP6_H_
#define PACKET_IO_UDP6_H_

#include <stdint.h>

/**
 * Give a UDP datagram over IPv6 that has no checksum the one that it must have (RFC
 * 8200 section 8.1). Every other packet stays as it is, fragments among them.
 */
void udp6_finish_checksum(uint8_t *packet, uint32_t length);

#endif /* PACKET_IO_UDP6_H_ */
