/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Runs: packets of ESP in UDP that differ in nothing but their payload, so that
 * the kernel can make them of one message (UDP_SEGMENT). Pure: looks at bytes,
 * sends nothing.
 */

#ifndef PACKET_IO_RUNS_H_
#define PACKET_IO_RUNS_H_

#include "../vector.h"

#include <stdbool.h>
#include <stdint.h>

/** Packets that are looked at together, at most */
#define RUNS_PACKETS 256
/** Segments of a message: what every kernel takes (UDP_MAX_SEGMENTS, once 64) */
#define RUN_SEGMENTS 64
/** Payload of a message: its UDP and IPv4 header have to fit, too */
#define RUN_BYTES (65535 - 20 - 8)
/** Places that destinations are spread over */
#define RUN_PLACES 256
/** Ends a chain of packets */
#define RUNS_END UINT16_MAX

/** Where the headers are that this is about (RFC 791, RFC 8200 section 3, RFC 768) */
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define UDP_HEADER_BYTES 8

/** A message: a run, or a single packet of any kind */
typedef struct {
	/** its packets, counted from the first one looked at: a chain through runs_t.next */
	uint16_t first;
	uint16_t last;
	uint16_t segments;
	/** whether one more may join */
	bool is_open;
	/** below RUN_PLACES: what goes to one destination has the same */
	uint16_t place;
	/** payload of each packet but the last, which may have less; and of all */
	uint32_t segment_bytes;
	uint32_t bytes;
} run_t;

typedef struct {
	/** in the order in which they have to leave */
	run_t run[RUNS_PACKETS];
	uint32_t count;
	uint16_t next[RUNS_PACKETS];
} runs_t;

/**
 * Order packets from .. from + count (up to RUNS_PACKETS) into messages; those with
 * a verdict are passed over, all others must have an IP header.
 *
 * Packets to one destination leave in their order. A run has at least its headers
 * in common (addresses, ports, traffic class, hop limit, DF, no options), and comes
 * from the given UDP port; port 0: none is found.
 */
void runs_find(runs_t *this, const vector_t *vector, uint32_t from,
			   uint32_t count, uint16_t port);

/** Bytes in front of the payload of a packet that is part of a run */
static inline uint32_t runs_header_bytes(const uint8_t *packet)
{
	return UDP_HEADER_BYTES +
		   (packet[0] >> 4 == 6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES);
}

#endif /* PACKET_IO_RUNS_H_ */
