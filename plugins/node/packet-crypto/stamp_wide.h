/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What stamp_mask.c does, for packets of one SA and on a CPU with AES on four blocks at
 * once: the blocks are made in its registers, four packets in each.
 */

#ifndef PACKET_CRYPTO_STAMP_WIDE_H_
#define PACKET_CRYPTO_STAMP_WIDE_H_

#include "stamp_mask.h"

/** Whether these packets, one at least, are of one SA on such a CPU */
bool stamp_is_wide(const stamp_place_t places[], size_t count);

/** See stamp_mask_pads(), for packets of one SA */
void stamp_wide_pads(stamp_place_t places[STAMP_GROUP], size_t count,
					 aes_block_t pads[STAMP_GROUP]);

/** See stamp_mask_check(), for packets of one SA */
void stamp_wide_check(stamp_place_t places[STAMP_GROUP], size_t count,
					  aes_block_t checks[STAMP_GROUP]);

#endif /* PACKET_CRYPTO_STAMP_WIDE_H_ */
