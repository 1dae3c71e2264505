/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "sources.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Where IP headers have their source (RFC 791, RFC 8200 section 3) */
#define IPV4_SOURCE 12
#define IPV6_SOURCE 8
/** Port of the nobody that a socket is connected to (discard, RFC 863) */
#define NOBODYS_PORT 9

/** The longest first: `{}` is zero to the end */
typedef union {
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	struct sockaddr any;
} address_t;

static bool set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

bool source_set_common(int fd, uint32_t mark, uint32_t buffer_bytes)
{
	return set_option(fd, SOL_SOCKET, SO_MARK, (int)mark) &&
		   (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)buffer_bytes) ||
			set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)buffer_bytes));
}

void source_bypass_policies(int fd, sa_family_t family)
{
	struct xfrm_userpolicy_info policy = {
		.sel = { .family = family },
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_ALLOW,
	};

	setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			   family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY,
			   &policy, sizeof(policy));
}

/**
 * Transparent: the address need not be this host's. PMTUDISC_PROBE: DF over IPv4, and the device's MTU is the limit,
 * not one that the kernel learned from ICMP, which anybody can send. IPv6 without a flow label, as our own headers are.
 */
static bool set_family_options(int fd, sa_family_t family)
{
	if (family == AF_INET)
	{
		return set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1) &&
			   set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	}
	return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
		   set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) &&
		   set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) &&
		   set_option(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
}

/** Takes nothing of any packet */
static bool refuse_all(int fd)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &none };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
					  sizeof(program)) == 0;
}

/**
 * charon has this port on the routing host, and maybe for itself on a target. A socket at one address is nearer than
 * its own at all of them and would take its packets, also if a filter then drops them. A connected socket takes only
 * what comes from where it is connected to; that is a place on this host from which nothing comes. It may send anywhere
 * all the same. While it is bound and not yet connected it listens to `lo` only.
 */
static bool connect_to_nobody(int fd, const address_t *local, socklen_t size)
{
	static const char lo[] = "lo", all[] = "";
	address_t nobody = {};

	nobody.any.sa_family = local->any.sa_family;
	if (local->any.sa_family == AF_INET)
	{
		nobody.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		nobody.v4.sin_port = htons(NOBODYS_PORT);
	}
	else
	{
		nobody.v6.sin6_addr = in6addr_loopback;
		nobody.v6.sin6_port = htons(NOBODYS_PORT);
	}
	/* who has the port and sets SO_REUSEADDR as well shares it; charon does not */
	return set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
		   setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, lo, sizeof(lo)) == 0 &&
		   bind(fd, &local->any, size) == 0 &&
		   connect(fd, &nobody.any, size) == 0 &&
		   setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, all, sizeof(all)) == 0;
}

static int open_source(const sources_t *this, const source_t *source)
{
	address_t local = {};
	socklen_t size;
	int fd, error;

	local.any.sa_family = source->family;
	if (source->family == AF_INET)
	{
		local.v4.sin_port = htons(this->port);
		memcpy(&local.v4.sin_addr, source->address, sizeof(local.v4.sin_addr));
		size = sizeof(local.v4);
	}
	else
	{
		local.v6.sin6_port = htons(this->port);
		memcpy(&local.v6.sin6_addr, source->address, sizeof(local.v6.sin6_addr));
		size = sizeof(local.v6);
	}
	fd = socket(source->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1 &&
		(!source_set_common(fd, this->mark, this->buffer_bytes) ||
		 !set_family_options(fd, source->family) || !refuse_all(fd) ||
		 !connect_to_nobody(fd, &local, size)))
	{
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (fd != -1)
	{
		source_bypass_policies(fd, source->family);
	}
	return fd;
}

int sources_get(sources_t *this, const uint8_t *packet)
{
	source_t wanted = { .family = packet[0] >> 4 == 6 ? AF_INET6 : AF_INET };
	source_t *source;

	if (wanted.family == AF_INET6)
	{
		memcpy(wanted.address, packet + IPV6_SOURCE, 16);
	}
	else
	{
		memcpy(wanted.address, packet + IPV4_SOURCE, 4);
	}
	for (uint32_t i = 0; i < this->count; i++)
	{
		source = &this->source[i];
		if (source->family == wanted.family &&
			memcmp(source->address, wanted.address, sizeof(wanted.address)) == 0)
		{
			source->is_used = true;
			return source->fd;
		}
	}
	if (this->count == SOURCES_MAX)
	{
		return -1;
	}
	wanted.is_used = true;
	wanted.fd = open_source(this, &wanted);
	if (wanted.fd == -1)
	{
		this->last_error = errno;
	}
	this->source[this->count++] = wanted;
	return wanted.fd;
}

void sources_close_idle(sources_t *this)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < this->count; i++)
	{
		if (this->source[i].is_used && this->source[i].fd != -1)
		{
			this->source[kept] = this->source[i];
			this->source[kept++].is_used = false;
		}
		else if (this->source[i].fd != -1)
		{
			close(this->source[i].fd);
		}
	}
	this->count = kept;
}

void sources_close(sources_t *this)
{
	for (uint32_t i = 0; i < this->count; i++)
	{
		if (this->source[i].fd != -1)
		{
			close(this->source[i].fd);
		}
	}
	this->count = 0;
}

uint32_t sources_open(const sources_t *this)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < this->count; i++)
	{
		open += this->source[i].fd != -1;
	}
	return open;
}
