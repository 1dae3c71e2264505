/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/** What a raw endpoint has besides its two descriptors. raw.c opens it, raw_send.c sends. */

#ifndef PACKET_IO_RAW_H_
#define PACKET_IO_RAW_H_

#include "endpoint.h"
#include "sources.h"

struct raw_share_t;

typedef struct {
	sources_t sources;
	/** source port of the packets that may be in runs; 0: there are none */
	uint16_t run_port;
	/** messages that were runs, and their packets */
	uint64_t runs;
	uint64_t run_packets;
	/** errno with which the kernel refused a run whose packets it took singly: none is tried since then */
	int runs_error;
	/** one for each thread that sends */
	struct raw_share_t *shares;
	uint32_t share_count;
} raw_t;

/** The send of the kind "raw" */
uint32_t raw_send(endpoint_t *this, vector_t *vector, uint32_t from,
				  uint32_t count, uint8_t refused, uint8_t too_big);

#endif /* PACKET_IO_RAW_H_ */
