/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Which flow an IP packet belongs to, as a number: packets of one flow have the same
 * one, so that who parts packets by it keeps the order of each flow. Pure.
 */

#ifndef PACKET_IO_FLOW_H_
#define PACKET_IO_FLOW_H_

#include <stdint.h>

/**
 * By addresses, and by ports where the packet has TCP or UDP right behind a header of
 * IP and is no fragment. What is no IP packet has 0. Neighbouring ports come out
 * evenly spread, in the upper bits above all.
 */
uint32_t flow_hash(const uint8_t *packet, uint32_t length);

/** A number below count for a hash */
static inline uint32_t flow_part(uint32_t hash, uint32_t count)
{
	return (uint32_t)(((uint64_t)hash * count) >> 32);
}

#endif /* PACKET_IO_FLOW_H_ */
