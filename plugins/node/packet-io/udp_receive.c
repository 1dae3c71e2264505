/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "udp_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

/** The arguments of a call */
typedef struct {
	endpoint_t *endpoint;
	uint8_t *slab;
	uint32_t *offset;
	uint32_t *length;
	/** IPv4 address that a packet came from, as a number */
	uint32_t *source;
	/** entries of these arrays, and how many are filled */
	size_t entries;
	uint32_t filled;
	uint32_t message_bytes;
} receiving_t;

/** The size of the datagrams that the kernel has joined to one message; 0: it is one */
static size_t segment_of(struct msghdr *header)
{
	struct cmsghdr *cmsg;
	int size;

	for (cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg))
	{
		if (cmsg->cmsg_level == SOL_UDP && cmsg->cmsg_type == UDP_GRO &&
			cmsg->cmsg_len >= CMSG_LEN(sizeof(size)))
		{
			memcpy(&size, CMSG_DATA(cmsg), sizeof(size));
			return size > 0 ? (size_t)size : 0;
		}
	}
	return 0;
}

/** Each datagram of a message becomes a packet, where it lies; only the last may be shorter */
static void split(receiving_t *this, uint32_t start, size_t bytes,
				  size_t segment, uint32_t source)
{
	size_t at = 0;

	if (segment == 0 || segment > bytes)
	{
		segment = bytes;
	}
	do
	{
		if (this->filled == this->entries)
		{
			this->endpoint->too_long++;
		}
		else
		{
			this->offset[this->filled] = start + (uint32_t)at;
			this->length[this->filled] = (uint32_t)(bytes - at < segment ?
													bytes - at : segment);
			this->source[this->filled++] = source;
		}
		at += segment;
	}
	while (at < bytes);
}

static int receive(receiving_t *this, uint32_t messages)
{
	struct mmsghdr message[UDP_MESSAGES];
	struct sockaddr_in from[UDP_MESSAGES];
	struct iovec iov[UDP_MESSAGES];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control[UDP_MESSAGES];
	int got;

	memset(message, 0, messages * sizeof(message[0]));
	for (uint32_t i = 0; i < messages; i++)
	{
		iov[i].iov_base = this->slab + (size_t)i * this->message_bytes;
		iov[i].iov_len = this->message_bytes;
		message[i].msg_hdr.msg_name = &from[i];
		message[i].msg_hdr.msg_namelen = sizeof(from[i]);
		message[i].msg_hdr.msg_iov = &iov[i];
		message[i].msg_hdr.msg_iovlen = 1;
		message[i].msg_hdr.msg_control = control[i].bytes;
		message[i].msg_hdr.msg_controllen = sizeof(control[i].bytes);
	}
	do
	{
		got = recvmmsg(this->endpoint->fd, message, messages, MSG_DONTWAIT, NULL);
	}
	while (got < 0 && errno == EINTR);
	if (got < 0)
	{
		if (errno != EAGAIN)
		{
			endpoint_note_error(this->endpoint, errno);
		}
		return 0;
	}
	for (int i = 0; i < got; i++)
	{
		/* without its whole length, or the size of its parts, it means nothing */
		if (message[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		{
			this->endpoint->too_long++;
			continue;
		}
		split(this, (uint32_t)i * this->message_bytes, message[i].msg_len,
			  segment_of(&message[i].msg_hdr), ntohl(from[i].sin_addr.s_addr));
	}
	return got;
}

napi_value udp_receive(napi_env env, napi_callback_info info)
{
	receiving_t receiving = {};
	napi_value result;
	int got;

	VECTOR_ARGS(env, info, 8);
	receiving.endpoint = udp_get(env, argv[0]);
	if (!receiving.endpoint)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 4, napi_uint32_array, uint32_t, source);
	VECTOR_ARG_UINT32(env, 5, messages);
	VECTOR_ARG_UINT32(env, 6, message_bytes);
	VECTOR_ARG_ARRAY(env, 7, napi_uint32_array, uint32_t, messages_received);
	VECTOR_CHECK(env, messages > 0 && messages <= UDP_MESSAGES,
				 "messages must be 1 to 64");
	VECTOR_CHECK(env, message_bytes > 0, "messageBytes must not be 0");
	VECTOR_CHECK(env, (uint64_t)messages * message_bytes <= slab_entries &&
				 slab_entries <= UINT32_MAX,
				 "a message reaches out of the slab");
	VECTOR_CHECK(env, messages_received_entries > 0,
				 "messagesReceived must have an entry");
	receiving.slab = slab;
	receiving.offset = offset;
	receiving.length = length;
	receiving.source = source;
	receiving.entries = offset_entries < length_entries ? offset_entries
														: length_entries;
	if (source_entries < receiving.entries)
	{
		receiving.entries = source_entries;
	}
	receiving.message_bytes = message_bytes;
	got = receive(&receiving, messages);
	messages_received[0] = (uint32_t)got;
	endpoint_note_received(receiving.endpoint, receiving.filled);
	VECTOR_TRY(env, napi_create_uint32(env, receiving.filled, &result));
	return result;
}

napi_value copy_packets(napi_env env, napi_callback_info info)
{
	VECTOR_ARGS(env, info, 6);
	VECTOR_ARG_ARRAY(env, 0, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 1, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 3, napi_uint8_array, uint8_t, to_slab);
	VECTOR_ARG_ARRAY(env, 4, napi_uint32_array, uint32_t, to_offset);
	VECTOR_ARG_UINT32(env, 5, count);
	VECTOR_CHECK(env, count <= offset_entries && count <= length_entries &&
				 count <= to_offset_entries, "an array is too short");
	for (uint32_t i = 0; i < count; i++)
	{
		VECTOR_CHECK(env, (uint64_t)offset[i] + length[i] <= slab_entries &&
					 (uint64_t)to_offset[i] + length[i] <= to_slab_entries,
					 "a packet reaches out of a slab");
	}
	for (uint32_t i = 0; i < count; i++)
	{
		/* a slab of no bytes has no address */
		if (length[i])
		{
			memmove(to_slab + to_offset[i], slab + offset[i], length[i]);
		}
	}
	return NULL;
}
