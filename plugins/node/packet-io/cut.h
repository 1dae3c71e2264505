/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What a kernel leaves to a network card: super-packets are cut into packets, and
 * checksums are finished. No descriptor, no state but what stands here.
 */

#ifndef PACKET_IO_CUT_H_
#define PACKET_IO_CUT_H_

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

/** A super-packet and how much of it has been cut off; all zero: there is none */
typedef struct {
	/** not owned, and unchanged */
	const uint8_t *packet;
	uint32_t length;
	/** bytes in front of the payload that every piece repeats */
	uint32_t header_bytes;
	/** where TCP or UDP starts, and whether it is TCP */
	uint32_t upper;
	bool is_tcp;
	/** payload of a piece; the last one may have less */
	uint32_t piece_bytes;
	/** payload already cut off, and in how many pieces */
	uint32_t done;
	uint32_t pieces;
	/** sum of the pseudo header without the length */
	uint64_t pseudo_sum;
} cut_t;

/**
 * Begin with a super-packet.
 *
 * @param header	that the kernel put in front, little endian
 * @param packet	must stay while it is cut
 * @return			FALSE if header and packet do not fit together
 */
bool cut_start(cut_t *this, const struct virtio_net_hdr *header,
			   const uint8_t *packet, uint32_t length);

/** Bytes of the next piece, header included; 0: there is none */
uint32_t cut_next_bytes(const cut_t *this);

/** Make the next piece in "out", which has cut_next_bytes(); there must be one */
void cut_next(cut_t *this, uint8_t *out);

/**
 * Finish the checksum of a packet whose header asks for that.
 *
 * @return			FALSE if header and packet do not fit together
 */
bool cut_finish_checksum(const struct virtio_net_hdr *header, uint8_t *packet,
						 uint32_t length);

#endif /* PACKET_IO_CUT_H_ */
