/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#ifndef PACKET_CRYPTO_MB_LIBRARY_H_
#define PACKET_CRYPTO_MB_LIBRARY_H_

/* aligns structures, which its code relies on */
#define LINUX
#include <intel-ipsec-mb.h>

/**
 * The functions of intel-ipsec-mb for this CPU, NULL if it cannot be used. It
 * has no state but for jobs, so all threads use one.
 */
IMB_MGR *mb_manager(void);

/** A job has come back, or NULL: notes on its packet whether it was done */
void mb_done(const IMB_JOB *job);

#endif /* PACKET_CRYPTO_MB_LIBRARY_H_ */
