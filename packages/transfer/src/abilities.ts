import { FEATURES } from '@filesync/protocol'
import type { Feature } from '@filesync/protocol'

/** The optional abilities of the protocol that both sides of this package have; what HELLO may name. */
export const ABILITIES: readonly Feature[] = [FEATURES.RESUME, FEATURES.ZSTD, FEATURES.DELTA, FEATURES.HOLES]
