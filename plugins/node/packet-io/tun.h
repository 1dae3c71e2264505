/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#ifndef PACKET_IO_TUN_H_
#define PACKET_IO_TUN_H_

#include "endpoint.h"

/**
 * An endpoint for a descriptor on which each packet has a virtio header in front,
 * little endian: super-packets are cut on the way in and made on the way out. Takes
 * the descriptor, also if it fails.
 *
 * @return			the object, NULL with a pending exception
 */
napi_value tun_offload_create(napi_env env, int fd);

#endif /* PACKET_IO_TUN_H_ */
