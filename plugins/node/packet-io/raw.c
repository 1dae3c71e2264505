/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Messages of one sendmmsg() */
#define BATCH 64
/** The smallest IPv4 header, and where it has the destination (RFC 791) */
#define IPV4_HEADER_BYTES 20
#define IPV4_DESTINATION 16
/** The same of IPv6, and its payload length (RFC 8200 section 3) */
#define IPV6_HEADER_BYTES 40
#define IPV6_DESTINATION 24
#define IPV6_PAYLOAD_LENGTH 4

/** Packets of one sendmmsg(), all of one family, and where in the vector they are */
typedef struct {
	int fd;
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to[BATCH];
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

/** The errno for a packet whose header can not be sent as it is, else 0 */
static int check_header(endpoint_t *this, const uint8_t *packet, uint32_t length)
{
	switch (length ? packet[0] >> 4 : 0)
	{
		case 4:
			return length < IPV4_HEADER_BYTES ? EINVAL : 0;
		case 6:
			/* the kernel fills in nothing: what is wrong here goes out wrong */
			if (length < IPV6_HEADER_BYTES ||
				length - IPV6_HEADER_BYTES !=
				((uint32_t)packet[IPV6_PAYLOAD_LENGTH] << 8 |
				 packet[IPV6_PAYLOAD_LENGTH + 1]))
			{
				return EINVAL;
			}
			return this->fd6 == -1 ? EAFNOSUPPORT : 0;
		default:
			return EINVAL;
	}
}

/** One packet whose header says where it goes */
static void batch_add(raw_batch_t *batch, vector_t *vector, uint32_t i)
{
	uint32_t n = batch->count++;
	uint8_t *packet = vector->slab + vector->offset[i];
	struct msghdr *header = &batch->messages[n].msg_hdr;

	memset(&batch->messages[n], 0, sizeof(batch->messages[n]));
	memset(&batch->to[n], 0, sizeof(batch->to[n]));
	if (packet[0] >> 4 == 6)
	{
		batch->to[n].v6.sin6_family = AF_INET6;
		memcpy(&batch->to[n].v6.sin6_addr, packet + IPV6_DESTINATION,
			   sizeof(batch->to[n].v6.sin6_addr));
		header->msg_namelen = sizeof(batch->to[n].v6);
	}
	else
	{
		batch->to[n].v4.sin_family = AF_INET;
		memcpy(&batch->to[n].v4.sin_addr, packet + IPV4_DESTINATION,
			   sizeof(batch->to[n].v4.sin_addr));
		header->msg_namelen = sizeof(batch->to[n].v4);
	}
	header->msg_name = &batch->to[n];
	batch->iov[n].iov_base = packet;
	batch->iov[n].iov_len = vector->length[i];
	header->msg_iov = &batch->iov[n];
	header->msg_iovlen = 1;
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
		n = sendmmsg(batch->fd, batch->messages + done, batch->count - done,
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
	raw_batch_t ipv4, ipv6, *batch;
	const uint8_t *packet;
	uint32_t sent = 0;
	int error;

	ipv4.fd = this->fd;
	ipv4.count = 0;
	ipv6.fd = this->fd6;
	ipv6.count = 0;
	for (uint32_t i = from; i < from + count; i++)
	{
		if (vector->verdict[i])
		{
			continue;
		}
		packet = vector->slab + vector->offset[i];
		error = check_header(this, packet, vector->length[i]);
		if (error)
		{
			refuse(this, vector, i, error, refused, too_big);
			continue;
		}
		batch = packet[0] >> 4 == 6 ? &ipv6 : &ipv4;
		batch_add(batch, vector, i);
		if (batch->count == BATCH)
		{
			sent += batch_send(batch, this, vector, refused, too_big);
		}
	}
	sent += batch_send(&ipv4, this, vector, refused, too_big);
	sent += batch_send(&ipv6, this, vector, refused, too_big);
	this->sent += sent;
	return sent;
}

static const endpoint_kind_t raw_kind = {
	.name = "raw",
	.send = raw_send,
};

static bool set_common(int fd, uint32_t mark, uint32_t buffer_bytes)
{
	int size = (int)buffer_bytes;

	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0 &&
		   (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0 ||
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
}

/*
 * Policies of the host's own IPsec are not for what we send: it is sealed, or answers in clear where the agent
 * decided so. A kernel without IPsec has no such option, and no policies either.
 */
static void bypass_policies(int fd, int level, int option, uint16_t family)
{
	struct xfrm_userpolicy_info policy = {
		.sel = { .family = family },
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_ALLOW,
	};

	setsockopt(fd, level, option, &policy, sizeof(policy));
}

/*
 * IPPROTO_RAW: sockets that only send, with the header included. PMTUDISC_PROBE:
 * only the device's MTU counts. Else the kernel would fragment (IPv4 without DF) or
 * refuse by a path MTU that it learned from ICMP, which anybody can send.
 */

static int open_ipv4(uint32_t mark, uint32_t buffer_bytes)
{
	int fd, error, on = 1, probe = IP_PMTUDISC_PROBE;

	fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd != -1 &&
		(setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) == -1 ||
		 setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe,
					sizeof(probe)) == -1 ||
		 /* fragments of ours stay what they are if the host tracks connections */
		 setsockopt(fd, IPPROTO_IP, IP_NODEFRAG, &on, sizeof(on)) == -1 ||
		 !set_common(fd, mark, buffer_bytes)))
	{
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (fd != -1)
	{
		bypass_policies(fd, IPPROTO_IP, IP_XFRM_POLICY, AF_INET);
	}
	return fd;
}

static int open_ipv6(uint32_t mark, uint32_t buffer_bytes)
{
	int fd, error, on = 1, probe = IPV6_PMTUDISC_PROBE;

	fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd != -1 &&
		(setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)) == -1 ||
		 setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe,
					sizeof(probe)) == -1 ||
		 !set_common(fd, mark, buffer_bytes)))
	{
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (fd != -1)
	{
		bypass_policies(fd, IPPROTO_IPV6, IPV6_XFRM_POLICY, AF_INET6);
	}
	return fd;
}

napi_value raw_open(napi_env env, napi_callback_info info)
{
	int fd, fd6, error;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, mark);
	VECTOR_ARG_UINT32(env, 1, buffer_bytes);
	VECTOR_CHECK(env, buffer_bytes <= INT32_MAX / 2,
				 "send buffer is out of range");

	fd = open_ipv4(mark, buffer_bytes);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "raw socket", errno);
	}
	fd6 = open_ipv6(mark, buffer_bytes);
	/* a kernel without IPv6 sends IPv4 all the same */
	if (fd6 == -1 && errno != EAFNOSUPPORT)
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "raw socket for IPv6", error);
	}
	return endpoint_create(env, &raw_kind, fd, fd6);
}
