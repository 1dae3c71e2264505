/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The threads of a crew (../crew.h), without JavaScript.
 */

#ifndef PACKET_IO_CREW_THREADS_H_
#define PACKET_IO_CREW_THREADS_H_

#include "../crew.h"

typedef struct {
	/** why there are fewer workers than were asked for: an errno, or 0 */
	int error;
	/** runs that were there for several workers */
	uint64_t runs;
	/** those before which the kernel was asked to wake some */
	uint64_t wakes;
	/** those whose end was long in coming, behind which the caller worked alone for a while */
	uint64_t stalls;
} crew_stats_t;

/** As many workers as are asked for, the caller included, or as the kernel gives; NULL: no memory */
const struct crew_port *crew_create(unsigned workers);

/** What has been so far; lives as long as the crew */
const crew_stats_t *crew_get_stats(const struct crew *crew);

/** End the threads, after which callers work alone; twice is harmless. No run may be under way */
void crew_end(struct crew *crew);

/** End and free it */
void crew_destroy(struct crew *crew);

#endif /* PACKET_IO_CREW_THREADS_H_ */
