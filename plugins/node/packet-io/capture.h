/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What both ways to capture have in common: capture.c reads packet by packet,
 * capture_ring.c from memory that the kernel fills.
 */

#ifndef PACKET_IO_CAPTURE_H_
#define PACKET_IO_CAPTURE_H_

#include "endpoint.h"

#include <linux/filter.h>
#include <net/if.h>

/** Where a capture listens, and for what */
typedef struct {
	char name[IF_NAMESIZE];
	unsigned int ifindex;
	uint16_t ethertype;
	/** points into the caller's array: valid for the length of one call */
	struct sock_fprog program;
	uint32_t buffer_bytes;
} capture_scope_t;

extern const endpoint_kind_t capture_ring_kind;

/**
 * The first four arguments of a call that opens a capture: interfaceName,
 * ethertype, program, receiveBufferBytes.
 *
 * @return			FALSE with a pending exception
 */
bool capture_scope(napi_env env, napi_value *argv, capture_scope_t *scope);

/**
 * Filter and buffer of a socket that was made for protocol 0 (deaf): the filter
 * must be there before it hears anything. Sets errno.
 */
bool capture_prepare(int fd, const capture_scope_t *scope);

/** Bind to the interface: from here on the socket hears. Sets errno. */
bool capture_listen(int fd, const capture_scope_t *scope);

/** Bring the counter of lost packets up to date */
void capture_refresh(endpoint_t *this);

#endif /* PACKET_IO_CAPTURE_H_ */
