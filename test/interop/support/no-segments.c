/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A kernel that has no UDP_SEGMENT, for a test: preloaded, it refuses messages
 * that ask for it, as a device without checksum offload made older kernels do.
 */

#include <dlfcn.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <sys/socket.h>

typedef int (*sendmmsg_t)(int, struct mmsghdr*, unsigned int, int);

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(&messages[0].msg_hdr);

	if (control && control->cmsg_level == SOL_UDP)
	{
		errno = EIO;
		return -1;
	}
	return ((sendmmsg_t)dlsym(RTLD_NEXT, "sendmmsg"))(fd, messages, count,
													  flags);
}
