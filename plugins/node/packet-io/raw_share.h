/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A share of a call to send on a raw endpoint: messages to some destinations, which one
 * thread sends in their order while others have other shares.
 */

#ifndef PACKET_IO_RAW_SHARE_H_
#define PACKET_IO_RAW_SHARE_H_

#include "raw.h"
#include "runs.h"

#include <sys/socket.h>

/** Messages of one sendmmsg() */
#define RAW_BATCH 64

typedef union {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} raw_address_t;

/** Hop limit, traffic class and segment size of a run */
typedef union {
	struct cmsghdr first;
	char bytes[2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
} raw_control_t;

/** Messages that wait for one sendmmsg(): of one family and one descriptor, in order */
typedef struct {
	int fd;
	uint32_t count;
	struct mmsghdr messages[RAW_BATCH];
	raw_address_t to[RAW_BATCH];
	raw_control_t control[RAW_BATCH];
	/** NULL: a packet that goes as it is */
	const run_t *run[RAW_BATCH];
	/** the packet, the first one of a run */
	uint16_t packet[RAW_BATCH];
} raw_lane_t;

/** The call, of which RUNS_PACKETS packets at a time are worked on; shares only read it */
typedef struct {
	const endpoint_t *endpoint;
	vector_t *vector;
	uint8_t refused;
	uint8_t too_big;
	/** packets of the runs, and of indices, are counted from this one */
	uint32_t from;
	runs_t runs;
	/** for each run the socket that it leaves from as one message, or -1; and whose it is */
	int fd[RUNS_PACKETS];
	uint8_t part[RUNS_PACKETS];
} raw_call_t;

typedef struct raw_share_t {
	const raw_call_t *call;
	/** what became of packets: for the call to add up */
	uint32_t sent;
	uint32_t refused;
	int last_error;
	uint32_t runs;
	uint32_t run_packets;
	int runs_error;
	/** one for each packet */
	struct iovec iov[RUNS_PACKETS];
	uint32_t iov_count;
	raw_lane_t ipv4;
	raw_lane_t ipv6;
} raw_share_t;

/** Begin a share of a call; most of it is buffers and needs no more */
void raw_share_begin(raw_share_t *this, const raw_call_t *call);

/** Mark a packet that did not go out */
void raw_share_refuse(raw_share_t *this, uint32_t n, int error);

/** Send the runs of the call that are of this part */
void raw_share_send(raw_share_t *this, uint8_t part);

#endif /* PACKET_IO_RAW_SHARE_H_ */
