/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Messages of one recvmmsg() */
#define BATCH 64

static uint32_t capture_receive(endpoint_t *this, vector_t *vector,
								uint32_t from, uint32_t max, uint32_t room)
{
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	uint32_t filled = 0, looked = 0, swap, want;
	int got;

	/* what is too long counts, too, or a flood of it would go on for ever */
	while (looked < max)
	{
		want = max - looked < BATCH ? max - looked : BATCH;
		memset(messages, 0, want * sizeof(messages[0]));
		for (uint32_t i = 0; i < want; i++)
		{
			iov[i].iov_base = vector->slab + vector->offset[from + filled + i];
			iov[i].iov_len = room;
			messages[i].msg_hdr.msg_iov = &iov[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		got = recvmmsg(this->fd, messages, want, MSG_DONTWAIT, NULL);
		if (got < 0)
		{
			if (errno == EINTR)
			{
				continue;
			}
			if (errno != EAGAIN)
			{
				endpoint_note_error(this, errno);
			}
			break;
		}
		/* close the gaps that packets cut by the kernel leave: slots are swapped,
		 * not copied. "next" runs ahead of "filled" over the same slots */
		for (uint32_t i = 0, next = from + filled; i < (uint32_t)got; i++, next++)
		{
			if (messages[i].msg_hdr.msg_flags & MSG_TRUNC)
			{
				this->too_long++;
				continue;
			}
			swap = vector->offset[from + filled];
			vector->offset[from + filled] = vector->offset[next];
			vector->offset[next] = swap;
			vector->length[from + filled] = messages[i].msg_len;
			filled++;
		}
		looked += (uint32_t)got;
		if ((uint32_t)got < want)
		{
			break;
		}
	}
	endpoint_note_received(this, filled);
	return filled;
}

/** The kernel sets these counters to zero each time they are read */
void capture_refresh(endpoint_t *this)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(this->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
	{
		this->overrun += stats.tp_drops;
	}
}

static const endpoint_kind_t capture_kind = {
	.name = "capture",
	.receive = capture_receive,
	.refresh = capture_refresh,
};

bool capture_prepare(int fd, const capture_scope_t *scope)
{
	int size = (int)scope->buffer_bytes, on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &scope->program,
				   sizeof(scope->program)) == -1 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
				   sizeof(on)) == -1)
	{
		return false;
	}
	/* beyond net.core.rmem_max needs CAP_NET_ADMIN; take what we get without */
	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size,
					  sizeof(size)) == 0 ||
		   setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0;
}

bool capture_listen(int fd, const capture_scope_t *scope)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(scope->ethertype),
		.sll_ifindex = (int)scope->ifindex,
	};

	return bind(fd, (struct sockaddr*)&address, sizeof(address)) == 0;
}

/**
 * A program of the caller's: the kernel copies it, and setsockopt does not mind
 * the alignment of the source.
 *
 * @return			FALSE if it cannot be one
 */
static bool capture_program(struct sock_fprog *program, uint8_t *bytes,
							size_t len)
{
	if (len == 0 || len % sizeof(struct sock_filter) != 0 ||
		len / sizeof(struct sock_filter) > BPF_MAXINSNS)
	{
		return false;
	}
	program->len = (unsigned short)(len / sizeof(struct sock_filter));
	program->filter = (struct sock_filter*)(void*)bytes;
	return true;
}

napi_value capture_filter(napi_env env, napi_callback_info info)
{
	struct sock_fprog program;
	endpoint_t *endpoint;

	VECTOR_ARGS(env, info, 2);
	endpoint = endpoint_get(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_CHECK(env, endpoint->kind == &capture_kind ||
				 endpoint->kind == &capture_ring_kind,
				 "the endpoint is no capture");
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, bytes);
	VECTOR_CHECK(env, capture_program(&program, bytes, bytes_entries),
				 "program must be 1 to 4096 instructions of 8 bytes");
	/* the kernel swaps them at once: each packet is judged by one or the other */
	if (setsockopt(endpoint->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				   sizeof(program)) == -1)
	{
		return endpoint_throw_errno(env, "capture filter", errno);
	}
	return NULL;
}

/** VECTOR_CHECK and its kind leave with NULL */
static napi_value scope_of(napi_env env, napi_value *argv,
						   capture_scope_t *scope)
{
	size_t len;

	VECTOR_CHECK(env, napi_get_value_string_utf8(env, argv[0], NULL, 0,
												 &len) == napi_ok &&
				 len > 0 && len < sizeof(scope->name),
				 "name must have 1 to 15 bytes");
	VECTOR_TRY(env, napi_get_value_string_utf8(env, argv[0], scope->name,
											   sizeof(scope->name), &len));
	VECTOR_ARG_UINT32(env, 1, ethertype);
	VECTOR_ARG_ARRAY(env, 2, napi_uint8_array, uint8_t, bytes);
	VECTOR_ARG_UINT32(env, 3, buffer_bytes);
	/* one protocol a socket: with ETH_P_ALL it would hear what an ingress hook drops,
	 * and the VLANs of the interface, too */
	VECTOR_CHECK(env, ethertype == ETH_P_IP || ethertype == ETH_P_IPV6,
				 "ethertype must be that of IPv4 or IPv6");
	VECTOR_CHECK(env, buffer_bytes <= INT32_MAX / 2,
				 "receive buffer is out of range");
	VECTOR_CHECK(env, capture_program(&scope->program, bytes, bytes_entries),
				 "program must be 1 to 4096 instructions of 8 bytes");
	scope->ethertype = (uint16_t)ethertype;
	scope->buffer_bytes = buffer_bytes;
	scope->ifindex = if_nametoindex(scope->name);
	if (!scope->ifindex)
	{
		return endpoint_throw_errno(env, scope->name, errno);
	}
	return argv[0];
}

bool capture_scope(napi_env env, napi_value *argv, capture_scope_t *scope)
{
	return scope_of(env, argv, scope) != NULL;
}

napi_value capture_open(napi_env env, napi_callback_info info)
{
	capture_scope_t scope;
	int fd, error;

	VECTOR_ARGS(env, info, 4);
	if (!capture_scope(env, argv, &scope))
	{
		return NULL;
	}
	/* SOCK_DGRAM: packets start at the IP header whatever the link is */
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "packet socket", errno);
	}
	if (!capture_prepare(fd, &scope) || !capture_listen(fd, &scope))
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "capture", error);
	}
	return endpoint_create(env, &capture_kind, fd, -1);
}
