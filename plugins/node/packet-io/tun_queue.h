/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A queue of a TUN with offloads: a descriptor on which each packet has a virtio header
 * in front. Super-packets are cut on the way in and made on the way out. One thread at
 * a time; other queues of the same device may be another thread's.
 */

#ifndef PACKET_IO_TUN_QUEUE_H_
#define PACKET_IO_TUN_QUEUE_H_

#include "cut.h"
#include "endpoint.h"
#include "join.h"

/** The longest super-packet; a byte beyond tells one that was longer */
#define TUN_SUPER_MAX 65536

/** What became of packets since the endpoint was last told */
typedef struct {
	uint32_t received;
	uint32_t sent;
	uint32_t refused;
	uint32_t too_long;
	uint32_t errors;
	int last_error;
	/** the device was deleted */
	bool is_gone;
} tun_counts_t;

typedef struct {
	/** first, so that it leads to all of this */
	join_t join;
	join_write_t write;
	int fd;
	/** what the set that it is in watches it for */
	uint32_t watched;
	tun_counts_t counts;
	/** verdicts of the call to send */
	uint8_t refused;
	uint8_t too_big;
	/** what is being cut, and its bytes */
	cut_t cut;
	uint8_t super[TUN_SUPER_MAX + 1];
} tun_queue_t;

/** Begin with a descriptor, which is not owned; all else must be zero */
void tun_queue_init(tun_queue_t *this, int fd);

/** As of endpoint_kind_t, but counts for itself */
uint32_t tun_queue_receive(tun_queue_t *this, vector_t *vector, uint32_t from,
						   uint32_t max, uint32_t room);

/**
 * As of endpoint_kind_t, but counts for itself.
 *
 * @param part		whose the packet at from + n is, by n; NULL: all are ours
 */
void tun_queue_send(tun_queue_t *this, vector_t *vector, uint32_t from,
					uint32_t count, const uint8_t *part, uint8_t mine);

/** Whether it keeps packets that the next call to receive will give first */
bool tun_queue_has_more(const tun_queue_t *this);

/** Tell the endpoint what became of packets */
void tun_queue_report(tun_queue_t *this, endpoint_t *endpoint);

#endif /* PACKET_IO_TUN_QUEUE_H_ */
