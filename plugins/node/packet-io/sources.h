/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Sources: UDP sockets that send from an address and port of the tunnel, which may
 * be another host's, or charon's own, and never hear anything.
 */

#ifndef PACKET_IO_SOURCES_H_
#define PACKET_IO_SOURCES_H_

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/** Sockets at once: tunnel endpoints have a handful of addresses */
#define SOURCES_MAX 32

typedef struct {
	sa_family_t family;
	/** IPv4 uses four bytes of it */
	uint8_t address[16];
	/** -1: it could not be opened, and is not tried again before sources_close_idle() */
	int fd;
	/** since the last sources_close_idle() */
	bool is_used;
} source_t;

typedef struct {
	/** of all */
	uint16_t port;
	uint32_t mark;
	uint32_t buffer_bytes;
	source_t source[SOURCES_MAX];
	uint32_t count;
	/** errno of the last one that could not be opened */
	int last_error;
} sources_t;

/**
 * The socket for the source address of an IP packet; opened with the first packet.
 *
 * @return			-1 if there is none
 */
int sources_get(sources_t *this, const uint8_t *packet);

/** Close those that were not asked for since the last call; forget what failed */
void sources_close_idle(sources_t *this);

void sources_close(sources_t *this);

/** How many are open */
uint32_t sources_open(const sources_t *this);

/** Mark what a socket sends, and give it a buffer of this size */
bool source_set_common(int fd, uint32_t mark, uint32_t buffer_bytes);

/**
 * Policies of the host's own IPsec are not for what a socket sends: it is sealed, or answers in clear where the
 * agent decided so. A kernel without IPsec has no such option, and no policies either.
 */
void source_bypass_policies(int fd, sa_family_t family);

#endif /* PACKET_IO_SOURCES_H_ */
