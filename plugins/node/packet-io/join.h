/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Joins TCP segments that follow each other into super-packets, which a receiver's
 * stack takes in one go: the rules are those of GRO in Linux, and stricter where GRO
 * gives something up (the window). What the join has is the same for the receiver as
 * the segments one by one: nothing is joined whose headers differ in what a receiver
 * looks at, or whose checksums are wrong. No descriptor and no copy of a payload.
 */

#ifndef PACKET_IO_JOIN_H_
#define PACKET_IO_JOIN_H_

#include "../vector.h"
#include "ip_fields.h"

#include <linux/virtio_net.h>
#include <sys/uio.h>

/** Segments of a join: 64 KB of those of the smallest link that IPv4 has to expect */
#define JOIN_SEGMENTS 128
/** Connections whose segments are collected at the same time */
#define JOIN_FLOWS 8
/** The longest headers: IPv6, TCP with all options */
#define JOIN_HEADER_MAX (IPV6_HEADER_BYTES + 60)

/** A TCP segment, as far as it may be joined to others */
typedef struct {
	const uint8_t *packet;
	uint32_t length;
	/** where TCP starts, and where the payload does */
	uint32_t upper;
	uint32_t header_bytes;
	uint32_t sequence;
	uint8_t flags;
	bool may_join;
} segment_t;

/** Segments that will be one write */
typedef struct {
	segment_t head;
	/** checksums of the head were looked at, and are right */
	bool is_checked;
	/** the next segment has to start here */
	uint32_t next_sequence;
	/** bytes of all payloads */
	uint32_t payload_bytes;
	/** flags of the last segment */
	uint8_t last_flags;
	uint32_t count;
	/** indices into the vector */
	uint32_t index[JOIN_SEGMENTS];
	/** for the order in which flows go out */
	uint64_t since;
} join_flow_t;

typedef struct join_t join_t;

struct join_t {
	/** Called for each packet or join, in order within each connection */
	void (*emit)(join_t *this, const join_flow_t *flow);
	vector_t *vector;
	/** for each packet of a run, from its first on, whose it is, and whose are taken; NULL: all are */
	const uint8_t *part;
	uint8_t mine;
	join_flow_t flows[JOIN_FLOWS];
	uint64_t clock;
};

/** A join as it is written: a header made anew, then payloads where they are */
typedef struct {
	struct virtio_net_hdr header;
	uint8_t packet[JOIN_HEADER_MAX];
	/** header and packet, then one for each payload */
	struct iovec iov[2 + JOIN_SEGMENTS];
	uint32_t iov_count;
} join_write_t;

/**
 * Go through the packets from .. from + count that have verdict 0 and are ours, and emit
 * them all. Packets change neither place nor content.
 */
void join_run(join_t *this, vector_t *vector, uint32_t from, uint32_t count);

/** What to write for a flow of two segments or more */
void join_write_make(join_write_t *this, const join_flow_t *flow,
					 const vector_t *vector);

#endif /* PACKET_IO_JOIN_H_ */
