/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What one worker of a crew works with: nothing of it is anybody else's while
 * packets are worked on. Made, grown and freed by the caller's thread.
 */

#ifndef PACKET_CRYPTO_WORKER_H_
#define PACKET_CRYPTO_WORKER_H_

#include "../crew.h"

typedef struct {
	/** its number in the crew; 0 is the caller's thread. In cache lines of its own, since it writes all the time */
	_Alignas(64) unsigned index;
	/** intel-ipsec-mb's jobs, once there is an SA for them */
	struct IMB_MGR *jobs;
	/** what a cipher writes before it is verified; wiped at the end of a part */
	uint8_t *scratch;
	size_t scratch_bytes;
	size_t scratch_used;
	/** packets that it has opened in this call */
	uint32_t opened;
} worker_t;

/** Make room for what a cipher writes; false: no memory */
bool worker_reserve(worker_t *worker, size_t bytes);

/** Room for len bytes, which worker_reserve() has seen to; NULL if it has not */
uint8_t *worker_scratch(worker_t *worker, size_t len);

/** Wipe what was written there */
void worker_wipe(worker_t *worker);

/** Wipe and free the room */
void worker_free_scratch(worker_t *worker);

#endif /* PACKET_CRYPTO_WORKER_H_ */
