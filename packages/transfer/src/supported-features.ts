import { FEATURES } from '@filesync/protocol'
import type { Feature } from '@filesync/protocol'

/** The optional features of the protocol that both sides of this package implement, for HELLO. */
export const SUPPORTED_FEATURES: readonly Feature[] = [FEATURES.RESUME, FEATURES.ZSTD, FEATURES.DELTA, FEATURES.HOLES]
