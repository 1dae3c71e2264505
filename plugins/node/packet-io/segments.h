/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A UDP super-packet (UDP_SEGMENT of a sender on this machine, or what GRO has
 * joined): one IP and UDP header, and the payloads of many datagrams of equal
 * size, of which only the last may be shorter. Here it becomes the datagrams
 * that the peer has sent.
 */

#ifndef PACKET_IO_SEGMENTS_H_
#define PACKET_IO_SEGMENTS_H_

#include "../vector.h"

/** Super-packet of UDP datagrams; too new for the headers of some systems */
#define SEGMENTS_UDP_L4 5

/** A super-packet and how much of it has been taken; all zero: nothing left */
typedef struct {
	/** the IP header; must stay as it is while something is left */
	const uint8_t *packet;
	/** where UDP starts, and the whole length as IP says */
	uint32_t udp;
	uint32_t length;
	/** payload bytes of each datagram */
	uint32_t size;
	/** where the payload of the next one starts; length: nothing left */
	uint32_t at;
	/** how many were taken */
	uint32_t index;
	/** of the pseudo header, without the UDP length */
	uint32_t pseudo;
} segments_t;

/**
 * Look at the headers of a super-packet.
 *
 * @param packet	from the IP header on
 * @param length	bytes that are there; padding may follow the packet
 * @param size		gso_size, as the kernel gave it
 * @return			FALSE if it is none that can be taken apart: lengths that
 *					contradict each other, a fragment, no UDP
 */
bool segments_begin(segments_t *this, const uint8_t *packet, uint32_t length,
					uint32_t size);

static inline bool segments_left(const segments_t *this)
{
	return this->at < this->length;
}

/**
 * Copy the next datagrams into the packets from .. from + max of a vector, each
 * with lengths, IPv4 identification and IPv4 header checksum of its own. The UDP
 * checksum, of which only that of the whole is known, is left as by a sender
 * with checksum offload: the sum of the pseudo header (0 stays 0).
 *
 * @param room		bytes of a slot; datagrams that are longer are passed over
 * @param too_long	increased by the number of those
 * @return			how many were filled
 */
uint32_t segments_take(segments_t *this, vector_t *vector, uint32_t from,
					   uint32_t max, uint32_t room, uint64_t *too_long);

/** segments(packet, size, slab, offset, length, roomBytes, from, max) -> count: for tests */
napi_value segments_split(napi_env env, napi_callback_info info);

#endif /* PACKET_IO_SEGMENTS_H_ */
