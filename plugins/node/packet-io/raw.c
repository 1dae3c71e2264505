/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Messages of one sendmmsg() */
#define BATCH 64
/** The smallest IPv4 header, and where it has the destination (RFC 791) */
#define IPV4_HEADER_BYTES 20
#define IPV4_DESTINATION 16

/** Packets of one sendmmsg(), and where in the vector they are */
typedef struct {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	uint32_t index[BATCH];
	uint32_t count;
} raw_batch_t;

static void refuse(endpoint_t *this, vector_t *vector, uint32_t i, int error,
				   uint8_t refused, uint8_t too_big)
{
	vector->verdict[i] = error == EMSGSIZE ? too_big : refused;
	this->refused++;
	this->last_error = error;
}

/** One packet whose header says where it goes */
static void batch_add(raw_batch_t *batch, vector_t *vector, uint32_t i)
{
	uint32_t n = batch->count++;
	uint8_t *packet = vector->slab + vector->offset[i];

	memset(&batch->messages[n], 0, sizeof(batch->messages[n]));
	memset(&batch->to[n], 0, sizeof(batch->to[n]));
	batch->to[n].sin_family = AF_INET;
	memcpy(&batch->to[n].sin_addr, packet + IPV4_DESTINATION,
		   sizeof(batch->to[n].sin_addr));
	batch->iov[n].iov_base = packet;
	batch->iov[n].iov_len = vector->length[i];
	batch->messages[n].msg_hdr.msg_name = &batch->to[n];
	batch->messages[n].msg_hdr.msg_namelen = sizeof(batch->to[n]);
	batch->messages[n].msg_hdr.msg_iov = &batch->iov[n];
	batch->messages[n].msg_hdr.msg_iovlen = 1;
	batch->index[n] = i;
}

/** sendmmsg() stops at the first packet refused: mark that one and go on behind it */
static uint32_t batch_send(raw_batch_t *batch, endpoint_t *this,
						   vector_t *vector, uint8_t refused, uint8_t too_big)
{
	uint32_t done = 0, sent = 0;
	int n;

	while (done < batch->count)
	{
		n = sendmmsg(this->fd, batch->messages + done, batch->count - done,
					 MSG_DONTWAIT);
		if (n > 0)
		{
			done += (uint32_t)n;
			sent += (uint32_t)n;
		}
		else if (n == 0 || errno != EINTR)
		{
			refuse(this, vector, batch->index[done++], n ? errno : EIO,
				   refused, too_big);
		}
	}
	batch->count = 0;
	return sent;
}

static uint32_t raw_send(endpoint_t *this, vector_t *vector, uint32_t from,
						 uint32_t count, uint8_t refused, uint8_t too_big)
{
	raw_batch_t batch;
	uint32_t sent = 0;

	batch.count = 0;
	for (uint32_t i = from; i < from + count; i++)
	{
		if (vector->verdict[i])
		{
			continue;
		}
		if (vector->length[i] < IPV4_HEADER_BYTES ||
			vector->slab[vector->offset[i]] >> 4 != 4)
		{
			refuse(this, vector, i, EINVAL, refused, too_big);
			continue;
		}
		batch_add(&batch, vector, i);
		if (batch.count == BATCH)
		{
			sent += batch_send(&batch, this, vector, refused, too_big);
		}
	}
	sent += batch_send(&batch, this, vector, refused, too_big);
	this->sent += sent;
	return sent;
}

static const endpoint_kind_t raw_kind = {
	.name = "raw",
	.send = raw_send,
};

napi_value raw_open(napi_env env, napi_callback_info info)
{
	int fd, error, size, on = 1;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, mark);
	VECTOR_ARG_UINT32(env, 1, buffer_bytes);
	VECTOR_CHECK(env, buffer_bytes <= INT32_MAX / 2,
				 "send buffer is out of range");

	/* IPPROTO_RAW: a socket that only sends, with the header included */
	fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "raw socket", errno);
	}
	size = (int)buffer_bytes;
	if (setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) == -1 ||
		setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == -1 ||
		(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == -1 &&
		 setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == -1))
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "raw socket", error);
	}
	return endpoint_create(env, &raw_kind, fd);
}
