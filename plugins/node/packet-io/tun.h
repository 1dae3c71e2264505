/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#ifndef PACKET_IO_TUN_H_
#define PACKET_IO_TUN_H_

#include "endpoint.h"

/** Queues of a TUN, at most: a worker of a crew has one */
#define TUN_QUEUES_MAX CREW_WORKERS_MAX

/**
 * An endpoint for descriptors on which each packet has a virtio header in front,
 * little endian: super-packets are cut on the way in and made on the way out. Takes
 * the descriptors, also if it fails.
 *
 * @param count		1 to TUN_QUEUES_MAX queues of one device
 * @return			the object, NULL with a pending exception
 */
napi_value tun_offload_create(napi_env env, const int *fds, uint32_t count);

#endif /* PACKET_IO_TUN_H_ */
